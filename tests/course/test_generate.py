"""From source to notebooks: the same bytes each time, stubs that hold nothing of the answer, metadata that nbgrader accepts."""

import ast

import nbformat
import pytest
from demo_course import SOURCE
from nbgrader.nbgraderformat import MetadataValidator

from tinylib.course.generate import dumps, generate
from tinylib.course.known import Known
from tinylib.course.source import SourceError, read_lab

KNOWN = Known({"demo.twice": 3}, {"demo.guess": ("prediction", 1), "demo.quiz.1": ("quiz", 1)}, frozenset({"demo.line"}))


@pytest.fixture
def make(tmp_path):
    """Text of a source -> (labs notebook, solutions notebook)."""
    def make(text=SOURCE, known=KNOWN):
        (tmp_path / "07_demo.py").write_text(text)
        return generate(read_lab(tmp_path / "07_demo.py"), known)
    return make


def code(book):
    return [cell.source for cell in book.cells if cell.cell_type == "code"]


def test_the_same_source_gives_the_same_bytes(make):
    assert [dumps(b) for b in make()] == [dumps(b) for b in make()]
    assert "\r" not in dumps(make()[0]) and dumps(make()[0]).endswith("}\n")


def test_the_stub_holds_nothing_of_the_answer(make):
    learner, solved = make()
    stub, full = (next(c.source for c in book.cells if c.id == "demo-exercise-twice") for book in (learner, solved))
    assert stub == 'def twice(x):\n    """Two times x."""\n    raise NotImplementedError'
    assert "doubled_value = x + x" in full and full.count("###") == 2
    text = dumps(learner)
    assert not any(word in text for word in ("SOLUTION", "NBVAL", "doubled_value", '7)', "demo.quiz.1\\\", \\\"b"))
    assert all(ast.parse(source) for source in code(learner))


def test_answers_are_literals_in_solutions_and_none_in_labs(make):
    learner, solved = make()
    assert 'predict("demo.guess", None)' in code(learner) and 'answer("demo.quiz.1", None)' in code(learner)
    assert 'predict("demo.guess", 7)' in code(solved) and 'answer("demo.quiz.1", "b")' in code(solved)


def test_a_setting_that_the_learner_repairs_starts_wrong(make):
    learner, solved = make(SOURCE.replace("print(double(21))", 'rule = "good"  ### SOLUTION: "bad"\nprint(double(21))'))
    assert any('rule = "bad"\n' in source for source in code(learner)) and any('rule = "good"\n' in source for source in code(solved))
    assert "good" not in dumps(learner)


def test_an_answer_may_span_lines_and_give_another_start(make):
    text = SOURCE.replace('answer("demo.quiz.1", "b")  ### SOLUTION: None',
                          'answer("demo.quiz.1", {\n    "é": 1,  # first\n    "b": [2],\n})  ### SOLUTION: {"é": None}')
    learner, solved = make(text)
    assert 'answer("demo.quiz.1", {"é": None})' in code(learner)
    assert 'answer("demo.quiz.1", {\n    "é": 1,  # first\n    "b": [2],\n})' in code(solved)


CLASS = """\
class twice:
    def a(self):
        ### BEGIN SOLUTION
        return "abcdefghijklmnopqrstu"
        ### END SOLUTION

    def b(self, x):
        ### BEGIN SOLUTION
        return x
        ### END SOLUTION
"""


def test_two_regions_of_a_class_become_two_stubs(make):
    before, _, rest = SOURCE.partition("def twice")
    learner, _ = make(before + CLASS + "\n# %% check" + rest.partition("# %% check")[2])
    assert code(learner)[2] == ("class twice:\n    def a(self):\n        raise NotImplementedError\n\n"
                                "    def b(self, x):\n        raise NotImplementedError")


def test_ids_are_unique_and_tell_what_the_cell_is(make):
    learner, solved = make()
    ids = [c.id for c in learner.cells]
    assert ids == [c.id for c in solved.cells] and len(set(ids)) == len(ids)
    assert ids[:5] == ["demo-text-1", "demo-code-1", "demo-code-2", "demo-exercise-twice", "demo-check-twice"]


def test_a_long_exercise_name_gives_a_valid_id(make):
    long = "demo." + "x" * 90
    learner, _ = make(SOURCE.replace("demo.twice", long), Known({long: 3}, KNOWN.questions, KNOWN.panels))
    assert all(len(c.id) <= 64 for c in learner.cells)
    nbformat.validate(learner)


def test_metadata_is_what_nbgrader_wants(make):
    for book in make():
        MetadataValidator().validate_nb(book)
        nbformat.validate(book)
        graded = {c.metadata["nbgrader"]["grade_id"]: c.metadata["nbgrader"] for c in book.cells if "nbgrader" in c.metadata}
        assert set(graded) == {"demo-guess", "demo-twice", "demo-twice-check", "demo-quiz-1", "demo-decide-reason"}
        flags = lambda name, graded=graded: tuple(graded[name].get(key) for key in ("grade", "solution", "locked", "points"))
        assert flags("demo-twice") == (False, True, False, None)
        assert flags("demo-twice-check") == (True, False, True, 3)
        assert flags("demo-decide-reason") == (True, True, False, 2)
        assert flags("demo-quiz-1") == (False, True, False, None)


def test_volatile_cells_are_tagged(make):
    learner, solved = make()
    assert [c.metadata.get("tags") for c in solved.cells if "reveal(" in c.source and "import" not in c.source] == [["nbval-ignore-output"]]


def test_release_follows_the_lab_and_source_the_source(make):
    first, again = make(), make(SOURCE.replace("doubled_value", "doubled_number"))
    assert dumps(first[0]) == dumps(again[0])
    assert first[1].metadata["tinylib"]["source"] != again[1].metadata["tinylib"]["source"]
    other = make(SOURCE.replace("A short text", "Another text"))
    assert first[0].metadata["tinylib"]["release"] != other[0].metadata["tinylib"]["release"]


REFUSED = [   # what is replaced, by what, a word of the message
    ("    ### BEGIN SOLUTION\n", "", "partner"),
    ("    ### END SOLUTION\n", "", "partner"),
    ("    ### BEGIN SOLUTION\n", "    ### BEGIN SOLUTION\n    ### BEGIN SOLUTION\n", "partner"),
    ("    ### BEGIN SOLUTION\n    doubled_value = x + x\n    return doubled_value\n    ### END SOLUTION\n", "    return x\n", "has a region"),
    ("def twice", "### BEGIN SOLUTION\n### END SOLUTION\ndef twice", "inside the body"),
    ("print(double(21))", "print(double(21))\nif True:\n    ### BEGIN SOLUTION\n    pass\n    ### END SOLUTION", "outside an exercise"),
    ("# A short text.", "# ### BEGIN SOLUTION", "markdown"),
    ("### BEGIN SOLUTION\n    doubled_value = x + x", "### BEGIN SOLUTION\n    doubled_value = x + x + x - x", "__leak__"),
    ('7)  ### SOLUTION: None', "7)", "ends with"),
    ('7)  ### SOLUTION: None', "7)  ### SOLUTION: x + 1", "literal"),
    ("print(double(21))", "print(double(21))  ### SOLUTION: None", "ends a line with predict"),
    ("double = ready", 'answer("demo.quiz.1", None)\npredict("demo.guess", None)\ndouble = ready', "one predict or answer"),
    ('check("demo.twice", twice)', 'check("demo.twice", twice)\nanswer("demo.quiz.1", None)', "cell of its own"),
    ("print(double(21))", "\n".join(f"x = {n}" for n in range(40)), "at most 40"),
    ('start("demo")', 'start("other")', "start"),
    ('ready("demo.twice"', 'ready("demo.thrice"', "declares demo.twice"),
    ('reveal("demo.guess"', 'reveal("demo.quiz.1"', "declares demo.guess"),
    ('answer("demo.quiz.1"', 'answer("demo.guess"', "declares demo.quiz.1"),
    ('panel("demo.line"', 'panel("demo.circle"', "panels/demo.py"),
    ('exercise="demo.twice"', 'exercise="demo.thrice"', "is no exercise"),
    ("points=3", "points=4", "gives 3"),
    ('check("demo.twice", twice)', "pass", "the check cell calls"),
    ("def twice", "def double", "does not define"),
    ('reason="demo.decide', 'reason="other.decide', "does not start"),
    ('answer("demo.quiz.1", "b")  ### SOLUTION: None', "pass", "never asked"),
]


@pytest.mark.parametrize(("old", "new", "word"), REFUSED, ids=[str(n) + r[2] for n, r in enumerate(REFUSED)])
def test_a_wrong_source_is_refused(make, old, new, word):
    assert SOURCE.count(old) == 1
    text = SOURCE.replace(old, new)
    if word == "__leak__":
        text, word = text.replace("print(double(21))", "x = 1\ndoubled_value = x + x + x - x"), "would reach the learner"
    with pytest.raises(SourceError, match=word):
        make(text)


def test_an_exercise_without_cells_is_refused(make):
    with pytest.raises(SourceError, match="needs an exercise cell"):
        make(known=Known(KNOWN.exercises | {"demo.more": 1}, KNOWN.questions, KNOWN.panels))
