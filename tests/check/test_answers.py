"""Literal answers: right, wrong, and not an answer at all."""

from tinylib.check.answers import guess, letter, number


def test_a_number_within_its_tolerance():
    verify = number(2.5, "Look again.", 0.1)
    assert verify(2.55) is None and verify(2.7) == "Look again."
    assert all(verify(v) == "Answer with one number." for v in (True, "2.5", None, [2.5], 2.5 + 0j))
    assert number(3, "no")(3) is None and number(3, "no")(4) == "no"


def test_a_letter_and_why_the_others_are_wrong():
    verify = letter("b", {"a": "Not that."})
    assert verify("b") is None and verify(" B ") is None
    assert verify("a") == "Not that." and verify("z") == "Answer with one of the letters." and "quotes" in verify(2)


def test_any_number_is_a_prediction():
    assert guess(7) is None and guess(0.0) is None
    assert guess("7") and guess(None) and guess(True)
