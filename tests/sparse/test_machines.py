"""Machines of the cost model: read from their files, and refused with the names of those that exist."""

import tomllib

import pytest
import torch

from tinylib.core.errors import TinylibError
from tinylib.core.paths import data_dir
from tinylib.sparse.kernel_map import kernel_map
from tinylib.sparse.machines import matmul_model
from tinylib.sparse.tensor import quantize
from tinylib.sparse.traffic import buffer_bytes, traffic
from tinylib.sparse.tune import group_offsets


@pytest.mark.parametrize("name", ["laptop", "gpu"])
def test_a_machine_is_what_its_file_says(name):
    values = tomllib.loads((data_dir() / "machines" / f"{name}_matmul.toml").read_text())
    machine, groups = matmul_model(name), group_offsets([10, 10, 30], 0.0, 100)
    assert values["kind"] in ("measured here, rounded", "modelled") and len(values["source"]) > 40
    by_hand = sum(values["launch_us"] + (rows + values["half_rows"]) * 4 * 8 / (values["gmacs"] * 1e3) for rows in (10, 10, 30))
    assert machine.time_us(groups, 4, 8) == pytest.approx(by_hand)
    assert machine.time_us(group_offsets([10, 10, 30], 0.0, 0), 4, 8) == pytest.approx(by_hand), "one by one is the sum by hand"


def test_buffer_bytes_are_the_traffic_between_the_buffers():
    coords = quantize(torch.rand(300, 3, generator=torch.Generator().manual_seed(0)) * 8 - 4, 1.0)[0]
    kmap = kernel_map(coords, coords, kernel=3)
    moved = traffic(kmap, 3, 5, order="row")
    assert buffer_bytes(kmap.sizes.tolist(), 3, 5) == moved.gather_write + moved.scatter_read > 0


def test_an_unknown_machine_is_refused_by_name():
    with pytest.raises(TinylibError, match="gpu.*laptop"):
        matmul_model("abacus")
