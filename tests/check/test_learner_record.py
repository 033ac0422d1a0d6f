"""Who learns here, whose numbers are whose, and a record that nothing can break."""

import json
import multiprocessing
import os

import pytest

from tinylib.check import learner, record


def test_identity(monkeypatch):
    for variable in ("TINYLIB_LEARNER", "JUPYTERHUB_USER"):
        monkeypatch.delenv(variable, raising=False)
    assert learner.current_learner() == "demo"
    assert learner.store_learner(" Zoë ")
    assert learner.current_learner() == "Zoë"
    monkeypatch.setenv("JUPYTERHUB_USER", "hub")
    assert learner.current_learner() == "hub"
    monkeypatch.setenv("TINYLIB_LEARNER", "build")
    assert learner.current_learner() == "build"


@pytest.mark.parametrize("content", ["", "[]", "{", '{"name": 3}', "null"])
def test_a_damaged_name_file_is_no_name(content, monkeypatch):
    monkeypatch.delenv("TINYLIB_LEARNER")
    monkeypatch.delenv("JUPYTERHUB_USER", raising=False)
    learner.store_learner("Ada")
    (learner.records_dir() / "learner.json").write_text(content)
    assert learner.current_learner() == "demo"


def test_rng_is_repeatable_and_personal():
    numbers = {(who, id): learner.learner_rng(who, id).integers(2**40) for who in ("a", "b") for id in ("x.1", "x.2")}
    assert len(set(numbers.values())) == 4
    assert learner.learner_rng("demo", "fake.quiz.1").integers(1000) == learner.learner_rng("demo", "fake.quiz.1").integers(1000) == 780


def test_names_and_ids_do_not_run_into_each_other():
    assert learner.learner_rng("ab", "c").integers(2**40) != learner.learner_rng("a", "bc").integers(2**40)


def test_append_and_read():
    assert record.read() == ([], [])
    assert record.append("check", "a.b", status="passed", value=float) == ""
    entries, notes = record.read()
    assert entries[0]["id"] == "a.b" and entries[0]["time"].endswith("+00:00") and not notes


def test_a_damaged_line_costs_only_itself():
    record.append("check", "a.b")
    with record.record_file().open("ab") as file:
        file.write(b'{"kind": "check", "id"\n\xff\xfe\n[1]\n\n{"id": 3, "kind": "check"}\n{"half')
    record.append("check", "c.d")
    entries, notes = record.read()
    assert [e["id"] for e in entries] == ["a.b", "c.d"]
    assert notes[0] == "Line 2 of record.jsonl is damaged and was skipped." and len(notes) == 5


def test_a_folder_that_cannot_be_written(monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("TINYLIB_HOME", str(tmp_path / "file" / "deeper"))
    assert record.append("check", "a.b").startswith("Your progress could not be saved")
    assert not learner.store_learner("Ada")
    assert record.read()[0] == [] and learner.stored_learner() == ""


def write_many(home, name):
    os.environ["TINYLIB_HOME"] = home
    for i in range(200):
        record.append("check", f"{name}.{i}", text="x" * 200)


def test_two_kernels_write_at_once(tmp_path):
    home = str(tmp_path / "both")
    context = multiprocessing.get_context("spawn")
    writers = [context.Process(target=write_many, args=(home, name)) for name in "ab"]
    [w.start() for w in writers]
    [w.join() for w in writers]
    lines = (tmp_path / "both" / "record.jsonl").read_text().splitlines()
    assert len(lines) == 400 and all(json.loads(line)["text"] == "x" * 200 for line in lines)
