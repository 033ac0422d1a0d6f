"""Ready-made properties: each holds on right facts and gives its sentence on wrong ones."""

import numpy as np
import pytest

from tinylib.check.properties import agrees, at_most, difference, finite, holds, in_range, no_mutation, shape_and_dtype

X = np.array([[1.0, 2.0], [3.0, 4.0]])
NAN = np.array([[1.0, np.nan], [3.0, 4.0]])


@pytest.mark.parametrize("prop, got, expected, sentence", [
    (agrees("x"), X, X, None),
    (agrees("x"), X + 1e-9, X, "`x` differs in 4 of 4 entries, first at [0, 0]: expected 1, got 1."),
    (agrees("x", rtol=1e-6), X + 1e-9, X, None),
    (agrees("x"), NAN, X, "`x` holds 1 values that are NaN or infinite, first at [0, 1]."),
    (agrees("x"), NAN, NAN, None),
    (agrees("x"), X[0], X, "`x` should have shape [2, 2], but it has [2]."),
    (agrees("x"), None, X, "`x` is None: is a `return` missing?"),
    (agrees("x"), "abc", X, "`x` should be an array of shape [2, 2] and type float64, but it is a text."),
    (agrees("x"), 3, 4, "`x` should be 4, but it is 3."),
    (agrees("x"), np.array(4), 4, None),
    (agrees("x"), float("nan"), 4.0, "`x` is nan."),
    (agrees("x"), [1, 2], [1, 2, 3], "`x` should have 3 items, but it has 2."),
    (agrees("x"), [1, 5], [1, 2], "`x[1]` should be 2, but it is 5."),
    (agrees("x"), {"a": 1}, {"b": 1}, "`x` should have the names ['b'], but it has ['a']."),
    (agrees("x"), {"a": 1}, {"a": 2}, "`x['a']` should be 2, but it is 1."),
    (agrees("x"), "conv", "pool", "`x` should be 'pool', but it is 'conv'."),
    (agrees("x"), 1, "pool", "`x` should be 'pool', but it is 1."),
    (shape_and_dtype("x"), X, X, None),
    (shape_and_dtype("x"), X.astype(np.float32), X, "`x` should have type float64, but it has type float32."),
    (shape_and_dtype("x"), X.T[:1], X, "`x` should have shape [2, 2], but it has [1, 2]."),
    (shape_and_dtype("x"), 2.0, 2, "`x` should be a whole number, but it is a number."),
    (finite("x"), X, X, None),
    (finite("x"), NAN, X, "`x` holds 1 values that are NaN or infinite, first at [0, 1]."),
    (in_range("x", 0, 4), X, X, None),
    (in_range("x", 0, 3), X, X, "`x` should stay between 0 and 3, but it holds 4."),
    (in_range("x", 0, 4), NAN, X, "`x` should stay between 0 and 4, but it holds nan."),
    (no_mutation("x"), False, False, None),
    (no_mutation("x"), True, False, "Your code changes its input in place. Work on a copy (`.clone()`)."),
    (no_mutation("x"), "weight", False, "Your code changes its input `weight` in place. Work on a copy (`.clone()`)."),
    (at_most("x", "x", "bytes"), 4, 4, None),
    (at_most("x", "x", "bytes"), 5, 4, "`x` is 5 bytes, but 4 bytes is enough."),
    (at_most("x", lambda args: 3), 5, 4, "`x` is 5, but 3 is enough."),
    (holds("x", "keeps order", "The order changed."), True, True, None),
    (holds("x", "keeps order", "The order changed."), 1, True, "The order changed."),
])
def test_sentence(prop, got, expected, sentence):
    assert prop.test({}, {"x": got}, {"x": expected}) == sentence
    assert prop.name and prop.group == "core"


def test_difference_of_empty_arrays():
    assert difference("x", np.zeros((0, 3)), np.zeros((0, 3))) is None


def test_comparison_does_not_use_what_a_learner_may_have_patched(monkeypatch):
    for name in ("allclose", "array_equal", "isclose"):
        monkeypatch.setattr(np, name, lambda *a, **k: True)
    assert agrees("x").test({}, {"x": X + 1}, {"x": X})
