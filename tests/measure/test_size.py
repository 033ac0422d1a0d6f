"""Model bytes by hand."""

import pytest
from torch import nn

from tinylib.core.errors import TinylibError
from tinylib.measure.size import model_bytes, parameter_count


def test_bytes_by_hand():
    model = nn.Sequential(nn.Conv2d(3, 5, 3), nn.BatchNorm2d(5))        # 135 + 5 weights, 10 of the norm, 10 statistics
    assert parameter_count(model) == 150
    assert model_bytes(model) == 4 * 160 and model_bytes(model, buffers=False) == 600
    assert model_bytes(model, {"0.weight": 4}, buffers=False) == 68 + 60     # 135 * 4 bits = 67.5 bytes, rounded up
    assert model_bytes(model, 1, buffers=False) == 17 + 1 + 1 + 1


def test_wrong_names_and_widths():
    with pytest.raises(TinylibError, match="nope"):
        model_bytes(nn.Linear(2, 2), {"nope": 8})
    with pytest.raises(TinylibError, match="64"):
        model_bytes(nn.Linear(2, 2), 0)


def test_a_shared_parameter_is_stored_once():
    layer = nn.Linear(4, 4, bias=False)
    assert model_bytes(nn.Sequential(layer, layer)) == 64
