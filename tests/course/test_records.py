"""Passport, progress, claims, cards and tables: what is read back, and one clear error for what is damaged."""

import hashlib
import json

import numpy as np
import pytest

from tinylib.check import record
from tinylib.core.errors import TinylibError
from tinylib.course import passport
from tinylib.course.cards import card_problems, read_cards, without_card
from tinylib.course.claims import load_claims, recompute, table
from tinylib.course.generate import dumps, generate
from tinylib.course.index import between, fresh_files, index_drift, write_index
from tinylib.course.manifest import manifest
from tinylib.course.passport import network_hash, read_rows, stamp
from tinylib.course.progress import course_map

CLAIM = """\
[[claim]]
id = "demo.effect"
text = "Doubling | doubles"
published = "2.0 times"
source = "A paper"
ours = "2.1 times"
value = 2.1
low = 2
high = 2.2
unit = "times"
kind = "measured here"
seeds = 5
status = "holds"
command = "tinylib data make demo-effect"
recompute = "data/recipes/demo.py:effect"
"""


@pytest.fixture
def home(tmp_path, monkeypatch):
    """A place for records of this test."""
    monkeypatch.setenv("TINYLIB_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("TINYLIB_LEARNER", "ada")
    return tmp_path / "home"


@pytest.fixture
def ready_course(course):
    """The demo course with its labs notebook."""
    course.labs.mkdir()
    (course.labs / "07_demo.ipynb").write_text(dumps(generate(course.pick()[0])[0]))
    return course


COSTS = {"accuracy": 0.9, "n_bytes": 10.5, "macs": 20, "peak_bytes": 30}


def test_a_passport_row_replaces_the_labs_earlier_one(home):
    weights = {"w": np.ones((2, 2), np.float32)}
    first = stamp("pruning", weights, **COSTS)
    stamp("quantization", weights, **COSTS | {"instructions": 7, "kind": "emulated"})
    again = stamp("pruning", {"w": np.zeros((2, 2), np.float32)}, **COSTS)
    assert [r.lab for r in read_rows()] == ["quantization", "pruning"] and read_rows()[1] == again
    assert again.network != first.network and first.n_bytes == 11


def test_the_hash_sees_names_shapes_types_and_values():
    base = np.zeros((2, 3), np.float32)
    others = [{"v": base}, {"w": base.reshape(3, 2)}, {"w": base.astype(np.int32)}, {"w": base + 1}]
    assert len({network_hash(x) for x in [{"w": base}, *others]}) == 5
    assert network_hash({"a": base, "b": base + 1}) == network_hash({"b": base + 1, "a": base})


@pytest.mark.parametrize("wrong", [{"accuracy": 90.0}, {"accuracy": float("nan")}, {"macs": -1}, {"kind": "guessed"}])
def test_a_wrong_row_is_refused(home, wrong):
    with pytest.raises(TinylibError):
        stamp("pruning", {}, **COSTS | wrong)
    assert read_rows() == []


@pytest.mark.parametrize("damage", ["", "{", '[{"lab": 1}]', "[1]"])
def test_a_damaged_passport_is_told(home, damage):
    home.mkdir()
    passport.passport_file().write_text(damage)
    with pytest.raises(TinylibError, match="damaged"):
        read_rows()


def test_the_map_counts_what_was_passed(ready_course, home):
    assert "0/1 exercises, 0/2 questions" in course_map(ready_course.root) and "tinylib lab demo" in course_map(ready_course.root)
    record.append("check", "demo.twice", learner="ada", status="not yet")
    record.append("check", "demo.twice", learner="ada", status="passed")
    record.append("check", "demo.twice", learner="ada", status="not yet")
    record.append("answer", "demo.quiz.1", learner="bob", status="passed")
    record.append("check", "other.thing", learner="ada", status="passed")
    assert "1/1 exercises, 0/2 questions" in course_map(ready_course.root)
    record.append("answer", "demo.quiz.1", learner="ada", status="passed")
    record.append("prediction", "demo.guess", learner="ada", status="passed")
    assert "Every lab is done" in course_map(ready_course.root)
    with record.record_file().open("a") as out:
        out.write("{broken\n")
    assert "1/1 exercises, 2/2 questions" in course_map(ready_course.root) and "damaged" in course_map(ready_course.root)


def test_an_empty_course_has_an_empty_map(tmp_path, home):
    assert "no labs" in course_map(tmp_path)


def write_claims(root, text=CLAIM):
    (root / "data" / "claims").mkdir(parents=True, exist_ok=True)
    (root / "data" / "claims" / "demo.toml").write_text(text)


def test_claims_are_read_and_shown(tmp_path):
    assert load_claims(tmp_path) == []
    write_claims(tmp_path)
    [claim] = load_claims(tmp_path)
    assert claim.low == 2.0 and claim.slug == "demo"
    assert r"Doubling \| doubles" in table([claim]) and "2.1 [2, 2.2] times, measured here" in table([claim])


@pytest.mark.parametrize(("old", "new", "word"), [
    ("[[claim]]", "[claim]", "tables"), ("value = 2.1", "value = 3.1", "low <= value"), ("value = 2.1", 'value = "2.1"', "not a float"),
    ("value = 2.1", "value = nan", "not a float"), ("seeds = 5\n", "", "lacks seeds"), ("seeds = 5", "seeds = 0", "seeds"),
    ("seeds = 5", "seeds = 5\ncolour = 1", "unknown field colour"), ("demo.effect\"", "other.effect\"", "starts with"),
    ('"holds"', '"true"', "status"), ('"measured here"', '"felt"', "kind"), ('"2.0 times"', '""', "published"),
    ("demo.py:effect", "demo.py", "recompute"), ("id = ", "id : ", "TOML"), ("seeds = 5", "seeds = true", "not a int"),
])
def test_a_wrong_claim_is_refused(tmp_path, old, new, word):
    write_claims(tmp_path, CLAIM.replace(old, new, 1))
    with pytest.raises(TinylibError, match=word):
        load_claims(tmp_path)


def test_two_claims_of_one_id_are_refused(tmp_path):
    write_claims(tmp_path, CLAIM + CLAIM)
    with pytest.raises(TinylibError, match="Two claims"):
        load_claims(tmp_path)


@pytest.mark.parametrize(("body", "agrees"), [
    ("return dict(value=2.15, low=2.1, high=2.3)", True), ("return dict(value=3, low=2.9, high=3.1)", False),
    ("return 3", None), (None, None),
])
def test_a_claim_is_found_again_or_not(tmp_path, body, agrees):
    write_claims(tmp_path)
    (tmp_path / "data" / "recipes").mkdir()
    if body:
        (tmp_path / "data" / "recipes" / "demo.py").write_text(f"def effect():\n    {body}\n")
    [claim] = load_claims(tmp_path)
    if agrees is None:
        with pytest.raises(TinylibError, match="demo.effect"):
            recompute(claim, tmp_path)
    else:
        assert recompute(claim, tmp_path)["agrees"] is agrees


def add_file(root, name="x.npz", **fields):
    folder = root / "data" / "sets"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(b"content")
    card = {"name": "x", "file": name, "sha256": hashlib.sha256(b"content").hexdigest(), "recipe": "tinylib data make x", "licence": "MIT",
            "source": "here", "kind": "real"} | fields
    (folder / "x.json").write_text(json.dumps(card))
    return read_cards(root / "data")[0]


def test_a_card_is_held_to_its_file(tmp_path):
    card = add_file(tmp_path)
    assert card_problems(card) == [] and without_card(tmp_path / "data", [card]) == []
    assert without_card(tmp_path / "data", []) != []
    card.file.write_bytes(b"other")
    assert "tinylib data make x" in card_problems(card)[0]
    card.file.unlink()
    assert "missing" in card_problems(card)[0]
    assert "no recipe" in card_problems(add_file(tmp_path, recipe=""))[0]
    (tmp_path / "data" / "sets" / "x.json").write_text("{")
    with pytest.raises(TinylibError, match="data/sets/x.json"):
        read_cards(tmp_path / "data")


def test_tables_are_written_between_their_markers(ready_course):
    root = ready_course.root
    (root / "README.md").write_text("before\n<!-- labs -->\nold\n<!-- /labs -->\nafter\n<!-- claims -->\n<!-- /claims -->\n")
    write_claims(root)
    add_file(root)
    assert len(index_drift(root)) == 2
    assert sorted(write_index(root)) == ["LICENSES.md", "README.md"] and write_index(root) == [] and index_drift(root) == []
    text = (root / "README.md").read_text()
    assert "[07 A demonstration](labs/07_demo.ipynb) | Doubling, Halving | 5 | 1 | 7 | no |" in text and "\nold\n" not in text
    assert text.startswith("before\n") and "\nafter\n" in text and "| demo | Doubling" in text
    assert "sets/x.json | here | MIT | real" in (root / "data" / "LICENSES.md").read_text()


def test_a_readme_without_markers_stays_as_it_is():
    assert between("text", "labs", "x") == "text"
    with pytest.raises(TinylibError, match="only one"):
        between("<!-- labs -->\n", "labs", "x")


def test_no_readme_no_data_no_tables(tmp_path):
    assert fresh_files(tmp_path) == {}


def test_the_manifest_adds_up(ready_course):
    [lab] = manifest(ready_course.root)
    assert (lab.slug, lab.points, lab.exercises, lab.panels) == ("demo", 3 + 2 + 1 + 1, ("demo.twice",), ("demo.line",))
    (ready_course.labs / "07_demo.ipynb").write_text("{")
    with pytest.raises(TinylibError, match="build demo"):
        manifest(ready_course.root)
