"""Cards: everything is escaped, differing cells are marked, large arrays are cut, hints are folded."""

import html.parser

import fake_lab
import numpy as np

from tinylib.check import matrix
from tinylib.check.card import answer_card, card, question_card, result_card
from tinylib.check.question import Item
from tinylib.check.reveal import distance, reveal_card
from tinylib.check.verdict import CheckResult, Failure

EVIL = "<script>alert(1)</script><img src=x onerror=alert(1)>\"'"


class Balanced(html.parser.HTMLParser):
    """Collects tags and fails on one that is closed out of order."""

    def __init__(self, text):
        super().__init__()
        self.open, self.tags = [], []
        self.feed(text)
        assert not self.open, f"not closed: {self.open}"

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        if tag not in ("br", "img"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def failed(expected, got, **more):
    failure = Failure(1, "p", "core", "It differs.", {"weight": np.arange(4.0).reshape(2, 2), "name": EVIL}, expected, got)
    return CheckResult("fake.mask", "not yet", "wrong", "It differs.", failure, instances=5, hints=fake_lab.MASK.hints, **more)


def test_learners_text_never_becomes_markup():
    result = failed({"x": EVIL}, {"x": EVIL + "2"}, misconception=EVIL, line=EVIL, line_number=2, output=EVIL)
    item = Item(EVIL, lambda v: None, EVIL, (("a", EVIL),))
    truth = [result_card(result), question_card(EVIL, "quiz", item), answer_card(result, item, EVIL), reveal_card("x", item, EVIL, EVIL),
             card("note", EVIL, EVIL, [EVIL])]
    for one in truth:
        assert "<script" not in one.html and "<img" not in one.html
        assert "script" not in Balanced(one.html).tags
        assert "<script>" in one.text


def test_differing_cells_are_marked():
    got = np.arange(6.0).reshape(2, 3)
    want = got.copy()
    want[1, 2] = 9
    shown = matrix.side_by_side("x", want, got)
    assert shown.count("title=differs") == 2 and "expected x" in shown and "got x" in shown
    assert matrix.side_by_side("x", got, got).count("title=differs") == 0


def test_a_large_array_is_cut_around_the_first_difference():
    got = np.zeros((3, 50, 60), np.int64)
    want = got.copy()
    want[2, 40, 30] = 7
    shown = matrix.side_by_side("x", want, got)
    assert "slice [2], rows 36 to 43 of 50, columns 25 to 34 of 60" in shown
    assert shown.count("<td") == 2 * 80 and shown.count("title=differs") == 2


def test_odd_arrays_can_be_drawn():
    for want, got in [(np.zeros((0, 3)), np.zeros((0, 3))), (np.ones(3), np.full(3, np.nan)), (np.ones(2), np.ones((2, 2))),
                      (np.array([1j, 2]), np.array([1j, 3])), (np.array([True]), np.array([False])), (np.array([np.inf, 1]), np.array([1, -np.inf]))]:
        Balanced(matrix.side_by_side("x", want, got))


def test_hints_are_folded_one_inside_the_other():
    shown = result_card(failed({"x": 1}, {"x": 2})).html
    assert shown.count("<details") == 3 and "open" not in shown
    assert shown.index("Hint 1 of 3") < shown.index("Hint 2 of 3") < shown.index("Hint 3 of 3")
    assert shown.count("</details></div></details></div></details>") == 1
    assert "Hint" not in result_card(failed({"x": 1}, {"x": 2})).text


def test_the_passed_card_is_short():
    shown = result_card(CheckResult("fake.mask", "passed", "passed", "All 3 properties hold on 10 cases."))
    assert shown.text == "[passed] fake.mask\n  All 3 properties hold on 10 cases." and len(shown.html) < 700
    assert shown.data == {"id": "fake.mask", "status": "passed", "kind": "passed"}


def test_code_spans_and_line_breaks():
    shown = card("note", "note", "x", ["use `a < b`\nthen stop"]).html
    assert "use <code>a &lt; b</code><br>then stop" in shown


def test_distance():
    assert distance(3, 1) == "Too high by a factor of 3."
    assert distance(1, 3) == "Too low by a factor of 3."
    assert distance(-3, -1) == "Too high by a factor of 3."
    assert distance(1.05, 1) == "Within 10 % of the result."
    assert distance(0, 2) == distance(-1, 1) == "You were off by 2."
    assert distance(2, 2) == "Exactly right." and distance(0, 0) == "Exactly right."
    assert distance("a", "b") == "That is not what came out." and distance("a", "a") == "That is right."


def test_reveal_names_the_choices():
    item = Item("Which?", lambda v: None, "Because.", (("a", "one"), ("b", "two")))
    shown = reveal_card("x", item, "a", "b").text
    assert "Your prediction: a, one." in shown and "Result: b, two." in shown and "Because." in shown
