"""`tinylib deploy` from a factory and files to a folder; wrong arguments get one clear sentence."""

import argparse

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from tinylib.cli.deploy import add_arguments, load_images, load_network, run
from tinylib.core.errors import TinylibError
from tinylib.nn.models import plain_net


@pytest.fixture
def files(tmp_path):
    generator = torch.Generator().manual_seed(0)
    from tinylib.nn.models import build

    model = build("plain_net", generator=generator)
    save_file(model.state_dict(), tmp_path / "w.safetensors")
    np.savez(tmp_path / "x.npz", images=np.random.default_rng(0).normal(size=(8, 1, 28, 28)).astype(np.float32))
    return tmp_path


def call(*words) -> int:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    return run(parser.parse_args(list(map(str, words))))


def test_network_in_folder_out(files, capsys):
    assert call("tinylib.nn.models:plain_net", "--weights", files / "w.safetensors", "--calibrate", files / "x.npz", "--board", "stm32f746",
                "--out", files / "out", "--head", "argmax", "--vectors", 2) == 0
    assert "Network on stm32f746" in capsys.readouterr().out and (files / "out" / "REPORT.md").is_file()


def test_wrong_arguments(files):
    with pytest.raises(TinylibError, match="No factory 'tinylib.nn.models:nothing'"):
        load_network("tinylib.nn.models:nothing", files / "w.safetensors")
    with pytest.raises(TinylibError, match="does not hold the state"):
        load_network("tinylib.nn.models:garment_net", files / "w.safetensors")
    with pytest.raises(TinylibError, match="No weights"):
        load_network("tinylib.nn.models:plain_net", files / "none.safetensors")
    np.savez(files / "bad.npz", pictures=np.zeros(3))
    with pytest.raises(TinylibError, match="'images'"):
        load_images(files / "bad.npz")
    assert isinstance(load_network("tinylib.nn.models:plain_net", files / "w.safetensors"), type(plain_net()))
