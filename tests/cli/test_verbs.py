"""The command line: verbs found by file, nothing heavy loaded for help, one sentence and exit code 1 for a wrong, empty or broken input."""

import json
import subprocess
import sys

import pytest

from tinylib.cli.__main__ import main, verbs
from tinylib.cli.data import find_maker
from tinylib.core.paths import project_root


def test_the_verbs_are_the_files():
    found = verbs()
    assert {"build", "claims", "data", "doctor", "lab", "labs", "progress"} <= set(found)
    assert all(found.values()), "every verb has a HELP"


@pytest.mark.parametrize("code", [
    "import tinylib",
    "import tinylib.cli.__main__ as m, contextlib\nwith contextlib.suppress(SystemExit):\n    m.main(['--help'])",
    "import tinylib.cli.__main__ as m\nm.main(['labs', '--json'])",
])
def test_nothing_heavy_is_loaded(code):
    heavy = "import sys; print(sorted({m.split('.')[0] for m in sys.modules} & {'torch', 'numpy', 'matplotlib', 'nbformat', 'IPython', 'jsonschema'}))"
    done = subprocess.run([sys.executable, "-c", f"{code}\n{heavy}"], capture_output=True, text=True, cwd=project_root(), check=True)
    assert done.stdout.splitlines()[-1] == "[]"


@pytest.mark.parametrize("argv", [[], ["nonsense"], ["labs", "--nonsense"], ["data"], ["data", "eat", "garments"], ["lab", "--reset", "--update", "x"]])
def test_a_wrong_call_is_told_with_code_2(argv, capsys):
    with pytest.raises(SystemExit) as stop:
        main(argv)
    assert stop.value.code == 2 and "usage" in capsys.readouterr().err


@pytest.mark.parametrize(("argv", "word"), [
    (["build", "nonsense"], "No lab"), (["build", "--check", "nonsense"], "No lab"), (["claims", "nonsense"], "No claims"),
    (["data", "make"], "Make what"), (["data", "make", "nonsense"], "Nothing makes"), (["data", "verify", "nonsense"], "Nothing named"),
    (["lab", "nonsense"], "No lab"), (["lab", "--reset"], "Which lab"), (["lab", "--update"], "Which lab"),
])
def test_a_wrong_input_is_one_sentence_with_code_1(argv, word, capsys):
    assert main(argv) == 1
    error = capsys.readouterr().err
    assert word in error and error.count("\n") == 1 and "Traceback" not in error


def test_labs_as_json(capsys):
    assert main(["labs", "--json"]) == 0
    for lab in json.loads(capsys.readouterr().out):
        assert {"slug", "title", "minutes", "exercises", "points", "panels", "systems"} <= set(lab)


def test_claims_as_json(capsys):
    assert main(["claims", "--json"]) == 0
    assert isinstance(json.loads(capsys.readouterr().out), list)


def test_data_is_verified(capsys):
    assert main(["data", "verify"]) == 0 and "as their cards say" in capsys.readouterr().out


def test_a_data_set_has_a_maker():
    assert find_maker("garments").__module__ == "tinylib.datasets.garments"


SOURCE = "# ---\n# title: a\n# minutes: 1\n# prerequisites:\n# systems: b\n# passport: no\n# ---\n\n# %%\nstart(\"tiny\")\n"


@pytest.fixture
def folder(tmp_path):
    """A course folder without labs."""
    (tmp_path / "solutions").mkdir()
    return tmp_path


def test_an_empty_course_is_in_order(folder, capsys):
    for action in ([], ["--check"], ["--index"]):
        assert main(["build", "--root", str(folder), *action]) == 0


@pytest.mark.parametrize("text", ["", "print(1)\n",
                                  SOURCE.replace("start(", "start(("), SOURCE.replace('"tiny"', '"other"'), SOURCE + '\n# %%\npanel("tiny.x")\n'])
@pytest.mark.parametrize("action", [[], ["--check"]])
def test_a_broken_source_is_one_sentence(folder, text, action, capsys):
    (folder / "solutions" / "07_tiny.py").write_text(text)
    assert main(["build", "--root", str(folder), *action]) == 1
    error = capsys.readouterr().err
    assert "07_tiny.py:" in error and error.count("\n") == 1 and not (folder / "labs").exists()


@pytest.mark.parametrize("damage", [None, "", "{", "[]"])
def test_a_missing_empty_or_broken_notebook_is_out_of_date(folder, damage, capsys):
    (folder / "solutions" / "07_tiny.py").write_text(SOURCE)
    (folder / "labs").mkdir()
    if damage is not None:
        (folder / "labs" / "07_tiny.ipynb").write_text(damage)
        (folder / "solutions" / "07_tiny.ipynb").write_text(damage)
    assert main(["build", "--root", str(folder), "--check"]) == 1
    error = capsys.readouterr().err
    assert "labs/07_tiny.ipynb" in error and "solutions/07_tiny.ipynb" in error and "build tiny" in error


@pytest.fixture
def project(folder, monkeypatch):
    """A course folder that the verbs take for the project, with one lab notebook."""
    monkeypatch.setattr("tinylib.core.paths.project_root", lambda: folder)
    monkeypatch.setenv("TINYLIB_LEARNER", "ada")
    (folder / "labs").mkdir()
    book = {"cells": [], "metadata": {"tinylib": {"slug": "tiny", "release": "one"}}, "nbformat": 4, "nbformat_minor": 5}
    (folder / "labs" / "07_tiny.ipynb").write_text(json.dumps(book))
    return folder


def test_a_workspace_is_made_reset_and_updated(project, capsys):
    assert main(["lab", "--no-open"]) == 0 and "new: 07_tiny" in capsys.readouterr().out
    assert main(["lab", "tiny", "--no-open"]) == 0 and "new" not in capsys.readouterr().out
    assert main(["lab", "--update", "tiny"]) == 0 and "newest release already" in capsys.readouterr().out
    assert main(["lab", "--reset", "tiny"]) == 0 and "Your old copy" in capsys.readouterr().out
    released = project / "labs" / "07_tiny.ipynb"
    released.write_text(released.read_text().replace("one", "two"))
    assert main(["lab", "--update", "tiny"]) == 0 and "with 0 of your answers" in capsys.readouterr().out
    (project / "my_labs" / "07_tiny.ipynb").write_text("{")
    released.write_text(released.read_text().replace("two", "three"))
    assert main(["lab", "--update", "tiny"]) == 1 and "--reset tiny" in capsys.readouterr().err
    assert len(list((project / "my_labs" / "old").iterdir())) == 2


def test_jupyter_opens_the_lab(project, monkeypatch):
    calls = []
    monkeypatch.setattr("subprocess.call", lambda command, env: calls.append(command) or 0)
    assert main(["lab", "tiny", "--no-browser"]) == 0 and main(["lab"]) == 0
    assert all("--LabApp.default_url=/lab/tree/07_tiny.ipynb" in c and f"--ServerApp.root_dir={project / 'my_labs'}" in c for c in calls)
    assert "--no-browser" in calls[0] and "--no-browser" not in calls[1]


def test_progress_of_nobody(project, monkeypatch, capsys):
    monkeypatch.setenv("TINYLIB_HOME", str(project / "home"))
    monkeypatch.setattr("tinylib.course.manifest.project_root", lambda: project)
    assert main(["progress"]) == 0 and "no labs here" in capsys.readouterr().out
