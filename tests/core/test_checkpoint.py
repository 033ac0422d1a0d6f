"""Checkpoints and records come back bit for bit, and a missing or damaged file says how to remake it."""

import json

import numpy as np
import pytest
import torch

from tinylib.core import checkpoint
from tinylib.core.checkpoint import load_checkpoint, load_model, load_record, save_checkpoint, save_record
from tinylib.core.errors import TinylibError
from tinylib.nn.models import plain_net

ARGUMENTS = {"classes": 3, "widths": [4, 8]}


@pytest.fixture
def data(tmp_path, monkeypatch):
    monkeypatch.setenv("TINYLIB_DATA", str(tmp_path))
    return tmp_path


def save_small(name="tiny-net"):
    model = plain_net(**ARGUMENTS)
    save_checkpoint(name, model.state_dict(), factory="tinylib.nn.models:plain_net", arguments=ARGUMENTS, recipe=f"tinylib data make {name}",
                    seed=1, seconds=2.0, metrics={"val_accuracy": 0.5})
    return model


def test_a_network_comes_back_bit_for_bit_and_in_eval_mode(data):
    model, loaded = save_small(), load_model("tiny-net")
    assert not loaded.training
    for key, value in model.state_dict().items():
        assert torch.equal(value, loaded.state_dict()[key]), key


def test_loading_leaves_the_global_random_state(data):
    save_small()
    before = torch.get_rng_state()
    load_model("tiny-net")
    assert torch.equal(before, torch.get_rng_state())


def test_the_card_tells_how_it_was_made(data):
    save_small()
    card = load_checkpoint("tiny-net")[1]
    assert card["recipe"] == "tinylib data make tiny-net" and card["arguments"] == ARGUMENTS and card["metrics"] == {"val_accuracy": 0.5}


def test_tied_and_strided_tensors_are_saved(data):
    shared = torch.arange(6.0).reshape(2, 3)
    save_checkpoint("tied", {"a": shared, "b": shared, "c": shared.t()}, factory="", arguments={}, recipe="", seed=0, seconds=0, metrics={})
    state = load_checkpoint("tied")[0]
    assert torch.equal(state["a"], shared) and torch.equal(state["b"], shared) and torch.equal(state["c"], shared.t())


def damage_file(path):
    raw = bytearray(path.read_bytes())
    raw[-1] ^= 1
    path.write_bytes(raw)


def check_complaint(name):
    with pytest.raises(TinylibError, match=f"tinylib data make {name}"):
        load_model(name)


def test_one_changed_bit_is_seen(data):
    save_small()
    damage_file(data / "checkpoints" / "tiny-net.safetensors")
    check_complaint("tiny-net")


def test_a_loader_that_trusts_the_file_would_not_see_it(data, monkeypatch):
    save_small()
    damage_file(data / "checkpoints" / "tiny-net.safetensors")
    monkeypatch.setattr(checkpoint, "verified_bytes", lambda path, card, name: path.read_bytes())
    load_model("tiny-net")


@pytest.mark.parametrize("ending", [".safetensors", ".json"])
def test_a_missing_file_names_the_command(data, ending):
    save_small()
    (data / "checkpoints" / f"tiny-net{ending}").unlink()
    check_complaint("tiny-net")


def test_a_broken_card_names_the_command(data):
    save_small()
    (data / "checkpoints" / "tiny-net.json").write_text("{")
    check_complaint("tiny-net")


def test_a_checkpoint_of_another_network_names_the_command(data):
    save_small()
    path = data / "checkpoints" / "tiny-net.json"
    card = json.loads(path.read_text())
    card["arguments"]["classes"] = 4
    path.write_text(json.dumps(card))
    check_complaint("tiny-net")


@pytest.mark.parametrize("content", [{"a": np.arange(5, dtype=np.int16), "b": np.eye(2)}, {"rows": [1, 2.5, "x"]}, [1, 2], {}])
def test_a_record_comes_back(data, content):
    save_record("lab-sweep", content, recipe="tinylib data make lab-sweep", seed=0, seconds=1.0, note="a sweep")
    back = load_record("lab-sweep")
    if isinstance(content, dict) and "a" in content:
        assert all(np.array_equal(back[k], content[k]) and back[k].dtype == content[k].dtype for k in content)
    else:
        assert back == content


def test_a_record_that_changes_its_form_leaves_no_old_file(data):
    save_record("lab-sweep", {"a": np.ones(2)}, recipe="", seed=0, seconds=0, note="")
    save_record("lab-sweep", [1], recipe="", seed=0, seconds=0, note="")
    assert not (data / "records" / "lab-sweep.npz").exists() and load_record("lab-sweep") == [1]


def test_a_damaged_record_names_the_command(data):
    damage_file(save_record("lab-sweep", [1, 2], recipe="", seed=0, seconds=0, note=""))
    with pytest.raises(TinylibError, match="tinylib data make lab-sweep"):
        load_record("lab-sweep")


def test_object_arrays_are_refused(data):
    with pytest.raises(ValueError, match="allow_pickle"):
        save_record("lab-bad", {"a": np.array([{}, []], dtype=object)}, recipe="", seed=0, seconds=0, note="")
