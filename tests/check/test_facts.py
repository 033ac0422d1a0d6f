"""Plain facts: what passes, what is refused with which sentence, and that nobody's `__eq__` is asked."""

import numpy as np
import pytest
import torch

from tinylib.check.facts import MAX_TEXT, NotPlain, a_kind, close, plain, plain_facts, same, size_of


class Hostile:
    """Every special method that a comparison could call raises."""

    def fails(self, *args):
        raise AssertionError("a learner's method was called")

    __eq__ = __bool__ = __len__ = __iter__ = __array__ = __float__ = __repr__ = __str__ = __hash__ = __getitem__ = fails


class FakeText(str):
    def __eq__(self, other):
        return True

    __hash__ = str.__hash__


class FakeNumber(float):
    def __eq__(self, other):
        return True

    __hash__ = float.__hash__


class FakeArray(np.ndarray):
    def __eq__(self, other):
        return True


class FakeTensor(torch.Tensor):
    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        raise AssertionError("a learner's method was called")


@pytest.mark.parametrize("value, words", [
    (Hostile(), "`x` is an object of type Hostile; a plain array, tensor, number, text or list was expected."),
    (FakeText("a"), "`x` is an object of type FakeText; a plain array, tensor, number, text or list was expected."),
    (FakeNumber(1), "`x` is an object of type FakeNumber; a plain array, tensor, number, text or list was expected."),
    ([1, Hostile()], "`x`[1] is an object of type Hostile; a plain array, tensor, number, text or list was expected."),
    (np.array([object()]), "`x` is an array of object items; an array of numbers was expected."),
    (torch.ones(2, requires_grad=True), "`x` still needs a gradient: compute it under `torch.no_grad()` or return `.detach()`."),
    (torch.ones(2, device="meta"), "`x` is a tensor of layout torch.strided on meta; a dense CPU tensor was expected."),
    (torch.ones(2).to_sparse(), "`x` is a tensor of layout torch.sparse_coo on cpu; a dense CPU tensor was expected."),
    ("a" * (MAX_TEXT + 1), "`x` is a text of 100,001 characters, more than the 100,000 allowed."),
    ([[[[[[[1]]]]]]], "`x`[0][0][0][0][0][0] is nested more than 6 levels deep."),
    ({1: 2}, "A fact has a name that is no text."),
])
def test_refused_with_one_sentence(value, words):
    with pytest.raises(NotPlain) as caught:
        plain_facts({"x": value})
    assert str(caught.value) == words


def test_facts_must_be_a_dictionary():
    with pytest.raises(NotPlain, match="The check got a list of 1 where"):
        plain_facts([1])


def test_plain_values_are_copied():
    array = np.ones(3)
    facts = plain_facts({"a": array, "t": torch.ones(2, dtype=torch.int8), "s": (1, "x"), "n": np.float32(0.5), "none": None})
    array[:] = 0
    assert facts["a"].tolist() == [1, 1, 1] and facts["t"].dtype == np.int8
    assert facts["s"] == [1, "x"] and type(facts["n"]) is float and facts["none"] is None


def test_subclasses_lose_their_methods():
    facts = plain_facts({"a": np.ones(2).view(FakeArray), "t": torch.ones(2).as_subclass(FakeTensor)})
    assert type(facts["a"]) is type(facts["t"]) is np.ndarray


def test_half_precision_and_conjugate_tensors():
    assert plain(torch.ones(2, dtype=torch.bfloat16)).dtype == np.float32
    assert plain(torch.ones(2, dtype=torch.float16)).dtype == np.float16
    assert plain(torch.tensor([1 + 2j]).conj()).tolist() == [1 - 2j]


def test_close():
    nan, inf = float("nan"), float("inf")
    a, b = np.array([1.0, nan, inf, inf, 0.0]), np.array([1.0 + 1e-9, nan, inf, -inf, 1e-9])
    assert close(a, b, 0, 1e-6).tolist() == [True, True, True, False, False]
    assert close(a, b, 1e-6, 0).tolist() == [True, True, True, False, True]
    big = np.array([2**62]), np.array([2**62 + 1])
    assert not close(*big, 0, 0).any(), "whole numbers are compared exactly, not as floats"


def test_same():
    assert same({"a": [1, np.ones(2)]}, {"a": [1.0, np.ones(2)]})
    assert not same({"a": 1}, {"b": 1}) and not same([1], [1, 2]) and not same("a", 1)
    assert not same(np.ones(2), np.ones(3)) and not same(np.ones(2), np.ones(2, int))
    assert same(float("nan"), float("nan"))


def test_size_of_and_words():
    assert size_of({"a": np.ones((2, 3)), "n": 4, "l": [1, [2, 3]]}) == 10
    assert a_kind(np.ones((2, 3), np.int8)) == "an array of shape [2, 3] and type int8"
    assert a_kind(torch.ones(2)) == "a tensor of shape [2] and type float32"
    assert a_kind(True) == "True or False" and a_kind((1, 2)) == "a tuple of 2"
