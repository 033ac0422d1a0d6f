"""nbgrader's exchange there and back, a late submission, a raw notebook that nbgrader could not read."""

import csv
import json
import os
import re
import subprocess
import sys

import pytest
from classes import RIGHT, ROOT, book, cell_of

from tinylib.classroom import exchange, gradebook, term
from tinylib.classroom.late import PerDay
from tinylib.cli.__main__ import main
from tinylib.core.errors import TinylibError

pytestmark = pytest.mark.filterwarnings("ignore")           # nbgrader's and SQLAlchemy's own
STEM = "01_start_here"


def student(home, root, verb, name="ada"):
    """nbgrader's own command, as a student calls it in the folder `home`."""
    env = os.environ | {"HOME": str(home), "JUPYTER_DATA_DIR": str(home / "data"), "JUPYTER_CONFIG_DIR": str(home / "config")}
    done = subprocess.run([sys.executable, "-m", "nbgrader", verb, STEM, f"--Exchange.root={root}", "--course", "course", f"--student={name}"],
                          cwd=home, env=env, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-1500:]


def test_there_and_back(tmp_path):
    """release -> fetch -> submit -> collect -> grade -> feedback -> fetch_feedback; the due date has passed, the policy takes ten per cent a day."""
    course, root, home = tmp_path / "course", tmp_path / "exchange", tmp_path / "ada"
    home.mkdir()
    step = lambda verb, *more: main(["class", verb, "--course", str(course), "--lab", "start_here", *more])
    assert main(["class", "init", str(course), "--exchange", str(root)]) == 0
    with open(course / "nbgrader_config.py", "a") as file:
        file.write('c.AssignLatePenalties.plugin_class = "tinylib.classroom.late.PerDay"\n')
    assert step("release", "--exchange", "--due", "2020-01-01 12:00 +0100") == 0
    student(home, root, "fetch_assignment")
    sheet = home / STEM / f"{STEM}.ipynb"
    assert sheet.read_bytes() == (ROOT / "labs" / f"{STEM}.ipynb").read_bytes()
    made = book()
    cell_of(made, "start_here-output_size")["source"] = RIGHT
    sheet.write_text(json.dumps(made))
    student(home, root, "submit")
    broken = course / "submitted" / "bob" / STEM                # as after `nbgrader collect`: nobody has looked at it
    broken.mkdir(parents=True)
    (broken / f"{STEM}.ipynb").write_text('{"cells": [')
    (broken / "timestamp.txt").write_text("no time at all")
    assert step("collect") == 0
    assert step("grade", "--isolation", "process", "--workers", "1") == 0
    points = {name: total for name, _, total in gradebook.table(course, term.open_course(course).assignment("start_here"))}
    assert points == {"ada": 0, "bob": 0}                       # 2 points, years late
    with open(course / "nbgrader_config.py", "a") as file:      # a milder policy, without a new judging
        file.write("c.PerDay.percent = 0.005\n")
    assert step("feedback", "--exchange") == step("export") == 0
    student(home, root, "fetch_feedback")
    page, = (home / STEM / "feedback").rglob("*.html")
    assert "It came late" in page.read_text()
    row = {r["student"]: float(r["points"]) for r in csv.DictReader((course / "grades-csv.csv").read_text().splitlines())}
    assert 0 < row["ada"] < 2 and row["bob"] == 0
    (course / "collected" / STEM / "ada").rename(course / "collected" / STEM / "gone")
    (course / "collected" / STEM / "gone").rename(course / "collected" / STEM / "ada")
    assert exchange.take_over(course, term.open_course(course).assignment("start_here")) == [], "a second look takes nothing twice"


def test_late_by_the_day():
    policy = PerDay(percent=10, grace_minutes=5)
    assert policy.late_submission_penalty("ada", 20, 299) is None
    assert policy.late_submission_penalty("ada", 20, 301) == 2 and policy.late_submission_penalty("ada", 20, 86_401) == 4
    assert policy.late_submission_penalty("ada", 20, 86_400 * 99) == 20


@pytest.mark.parametrize("text", ["never", "", "9" * 5000, "2020-99-99 1:1 UTC", "\x00"])
def test_a_damaged_time_stamp_gains_no_time(text, tmp_path):
    (tmp_path / "timestamp.txt").write_text(text)
    told = []
    assert exchange.stamp_of(tmp_path, True, told.append, "ada") > "2026" and told and "ada" in told[0]


def test_time_stamps(tmp_path):
    assert exchange.stamp_of(tmp_path, False) == "" and exchange.stamp_of(tmp_path, True) > "2026"
    (tmp_path / "timestamp.txt").write_text("2020-01-01 12:00:00 +0100")
    assert exchange.stamp_of(tmp_path, True).startswith("2020-01-01 11:00:00")


def test_a_due_date_that_is_none(tmp_path):
    from classes import lab
    with pytest.raises(TinylibError, match="is no date"):
        gradebook.set_due(tmp_path, lab(), "soon-ish")


SCRIPTS = ["<script>x=1</script>", "[a](javascript:x=1)", "[a][b]\n\n[b]: javascript:x=1", "[b]\n\n[b]: javascript:x=1",
           "<https:javascript:x=1>", "![a](x)", "[a](java&#115;cript:x=1)", "$\\href{javascript:x=1}{a}$", "[a]( <javascript:x=1>)",
           "<a href='javascript:x=1'>a</a>"]


def live(markdown):
    """Tags and formulas in what the formgrader renders that load or run something."""
    from html.parser import HTMLParser

    from nbconvert.filters import markdown2html
    found = re.findall(r"\\href", markdown)
    parser = HTMLParser()
    parser.handle_starttag = lambda tag, attributes: found.append(tag) if tag not in ("p", "strong", "em", "ul", "li", "code") or attributes else None
    parser.feed(markdown2html(markdown))
    return found


@pytest.mark.parametrize("text", SCRIPTS)
def test_a_reason_runs_no_script_in_the_formgrader(text):
    """As the formgrader renders it. Planted bug: the text as it was sent does."""
    from classes import lab
    reason = next(p for p in lab().parts if p.kind == "reason")
    cell = cell_of(gradebook.filled(book(), {reason.id: f"Because **it** fits. {text}"}, lab()), reason.grade_id)
    assert "**it**" in cell["source"] and live(cell["source"]) == []
    assert live(f"Because **it** fits. {text}") != []


def test_a_name_that_nbgrader_cannot_take_stops_nobody_else(tmp_path, capsys):
    course = tmp_path / "course"
    step = lambda verb, *more: main(["class", verb, "--course", str(course), "--lab", "start_here", *more])
    for name in ("*", "x[1]", "Zo\u00eb 'van' \"der\" <M\u00fcller> & co"):
        (tmp_path / "sent" / name).mkdir(parents=True)
        (tmp_path / "sent" / name / f"{STEM}.ipynb").write_text(json.dumps(book()))
    assert main(["class", "init", str(course)]) == 0 and step("release") == 0
    assert step("collect", str(tmp_path / "sent")) == 1
    assert "*: left out" in (told := capsys.readouterr().out) and "x[1]: left out" in told
    with open(course / "students.txt", "w", encoding="utf-8") as file:
        file.write("x[2]\n")
    assert step("grade", "--isolation", "process", "--workers", "1") == 1
    assert "x[2]: not in the gradebook" in capsys.readouterr().out
    assert len(gradebook.table(course, term.open_course(course).assignment("start_here"))) == 1
    assert step("feedback") == step("export") == 0
    assert "Zo\u00eb 'van'" in (course / "grades-csv.csv").read_text(encoding="utf-8")
