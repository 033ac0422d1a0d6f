"""The judge's front door: plain data comes through unchanged, anything else is refused without running or inflating it."""

import json

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tinylib.check.facts import same
from tinylib.classroom import wire

ARRAYS = st.sampled_from(sorted(wire.DTYPES)).flatmap(lambda dtype: st.lists(st.integers(0, 3), max_size=3).map(
    lambda shape: np.ones(shape, np.dtype(dtype))))
WORDS = st.text(st.characters(codec="utf-8"), max_size=9)
LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.complex_numbers(allow_nan=False) | WORDS | ARRAYS
PLAIN = st.recursive(LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(WORDS, inner, max_size=3), max_leaves=8)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(PLAIN)
def test_plain_data_comes_back(value):
    assert same(wire.unpack(wire.pack(value), 1 << 20), value)


def frame(text, blob=b""):
    text = text if isinstance(text, bytes) else json.dumps(text).encode()
    return wire.HEADER.pack(len(text), len(blob)) + text + blob


EIGHT = ["<f8", [1], 0]
BAD = {
    "nothing": b"",
    "half a header": b"\x00" * 9,
    "a length that lies": wire.HEADER.pack(4, 4) + b"null",
    "a giant length": wire.HEADER.pack(2**64 - 1, 2**64 - 1),
    "no JSON": frame(b"{"),
    "no UTF-8": frame(b'"\xff"'),
    "a list without tag": frame([1]),
    "two tags": frame({"l": [], "t": []}),
    "an unknown tag": frame({"pickle": "x"}),
    "an object array": frame({"a": ["|O", [1], 0]}, b"\0" * 8),
    "a structured array": frame({"a": ["<f8,<f8", [1], 0]}, b"\0" * 16),
    "a dtype that is a list": frame({"a": [["<f8"], [1], 0]}, b"\0" * 8),
    "a negative size": frame({"a": ["<f8", [-1], 0]}, b"\0" * 8),
    "a negative offset": frame({"a": ["<f8", [1], -8]}, b"\0" * 8),
    "beyond the end": frame({"a": ["<f8", [2], 0]}, b"\0" * 8),
    "a shape without end": frame({"a": ["<f8", [2**62, 2**62], 0]}, b"\0" * 8),
    "an empty shape without end": frame({"a": ["<f8", [0, 2**70], 0]}),
    "too many dimensions": frame({"a": ["<f8", [1] * 17, 0]}, b"\0" * 8),
    "a size that is a bool": frame({"a": ["<f8", [True], 0]}, b"\0" * 8),
    "a bool that is 7": frame({"a": ["|b1", [1], 0]}, b"\7"),
    "two arrays on the same bytes": frame({"l": [{"a": EIGHT}, {"a": EIGHT}]}, b"\0" * 8),
    "nested too deep": frame(b'{"l": [' * 20 + b"]}" * 20),
    "nested beyond reading": frame(b"[" * 100_000),
    "a name that is a number": frame({"d": [[1, 2]]}),
    "a number of 5000 digits": frame(b"9" * 5000),
    "more text than is read": frame(b" " * wire.TEXT_BYTES + b"1"),
}


@pytest.mark.parametrize("name", BAD)
def test_a_bad_frame_is_refused(name):
    with pytest.raises(wire.BadFrame):
        wire.unpack(BAD[name], 1 << 30)


@settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.binary(max_size=80), st.binary(max_size=16))
def test_any_bytes_are_a_value_or_a_bad_frame(text, blob):
    try:
        wire.unpack(frame(text, blob), 1 << 20)
    except wire.BadFrame:
        pass


def test_what_is_not_plain_cannot_be_sent():
    for value in (object(), {"x": np.array(["a"])}, np.array([None])):
        with pytest.raises((wire.BadFrame, TypeError)):
            wire.pack(value)
