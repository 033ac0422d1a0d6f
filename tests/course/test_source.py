"""The percent format: what is read, and one clear error with its line for everything else."""

import pytest
from demo_course import SOURCE
from hypothesis import given
from hypothesis import strategies as st

from tinylib.course.source import SourceError, find_sources, read_cell, read_lab


def write(folder, text, name="07_demo.py"):
    path = folder / name
    path.write_text(text)
    return path


def test_a_lab_is_read(tmp_path):
    lab = read_lab(write(tmp_path, SOURCE))
    assert (lab.number, lab.slug, lab.title, lab.minutes, lab.passport) == (7, "demo", "A demonstration", 5, False)
    assert lab.prerequisites == () and lab.systems == ("Doubling", "Halving")
    assert [c.role for c in lab.cells] == ["text", "code", "code", "exercise", "check", "code", "code", "code", "code", "reason"]
    assert lab.cells[0].text == "# Doubling\n\nA short text."
    assert lab.cells[4].points == 3 and lab.cells[4].id == "demo.twice"
    assert lab.named("panel") == ("demo.line",) and lab.named("predict") == ("demo.guess",)


def test_lines_of_calls_are_lines_of_the_source(tmp_path):
    lab = read_lab(write(tmp_path, SOURCE))
    lines = SOURCE.split("\n")
    assert lab.calls and all(f'{function}("{name}"' in lines[line - 1] for function, name, line in lab.calls)


def test_windows_line_ends_change_nothing(tmp_path):
    plain = read_lab(write(tmp_path, SOURCE))
    (tmp_path / "07_demo.py").write_bytes(SOURCE.replace("\n", "\r\n").encode())
    assert read_lab(tmp_path / "07_demo.py") == plain


BROKEN = [   # what is replaced, by what, line of the error, a word of the message
    ("# ---\n# title", "# title", 1, "front matter"),
    ("# minutes: 5", "# minutes: five", 3, "whole number"),
    ("# minutes: 5\n", "", 6, "lacks minutes"),
    ("# passport: no", "# passport: maybe", 6, "yes or no"),
    ("# title: A demonstration", "# title:", 2, "empty"),
    ("# minutes: 5", "# minutes: 5\n# colour: red", 4, "once"),
    ("# minutes: 5", "# minutes: 5\n# minutes: 6", 4, "once"),
    ("# %% [markdown]\n# # D", "stray\n# %% [markdown]\n# # D", 9, "before the first cell"),
    ("# A short text.", "A short text.", 12, "starts with '# '"),
    ("    doubled_value = x + x", "    doubled_value = = x", 25, "does not parse"),
    (" points=3", "", 29, "attributes"),
    (" points=3", " points=three", 29, "whole number"),
    (' points=3', ' points=3 colour="red"', 29, "attributes"),
    (' points=3', ' points 3', 29, "cannot read"),
    ("volatile=true", "volatile=yes", 40, "volatile"),
    ('check="demo.twice" points=3', 'exercise="demo.twice"', 29, "already given"),
    ("# %% volatile", "# %%volatile", 40, "marker"),
]


@pytest.mark.parametrize(("old", "new", "line", "word"), BROKEN, ids=[b[3] + str(b[2]) for b in BROKEN])
def test_an_error_names_file_and_line(tmp_path, old, new, line, word):
    assert SOURCE.count(old) == 1
    with pytest.raises(SourceError) as caught:
        read_lab(write(tmp_path, SOURCE.replace(old, new)))
    assert caught.value.line == line and word in str(caught.value) and str(caught.value).startswith(f"07_demo.py:{line}:")


@pytest.mark.parametrize("text", ["", "\n", "# ---\n", "# ---\n# title: x\n# ---\n", "print()\n", SOURCE.split("# %%")[0]])
def test_an_empty_source_is_refused(tmp_path, text):
    with pytest.raises(SourceError):
        read_lab(write(tmp_path, text))


def test_a_source_that_is_not_text_is_refused(tmp_path):
    (tmp_path / "07_demo.py").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(SourceError, match="UTF-8"):
        read_lab(tmp_path / "07_demo.py")


def test_only_numbered_files_are_labs(tmp_path):
    for name in ("07_demo.py", "demo.py", "7_demo.py", "02_Pruning.py"):
        write(tmp_path, SOURCE, name)
    assert [p.name for p in find_sources(tmp_path)] == ["07_demo.py"]
    with pytest.raises(SourceError, match="NN_slug"):
        read_lab(tmp_path / "demo.py")


@given(st.lists(st.text(st.characters(codec="utf-8", exclude_categories=("Cc", "Zl", "Zp", "Cs")), min_size=1).filter(str.strip), min_size=1))
def test_any_markdown_survives(tmp_path_factory, lines):
    lines = [line.rstrip() for line in lines]
    cell = read_cell(tmp_path_factory.getbasetemp() / "07_demo.py", ["# %% [markdown]", *(f"# {line}" for line in lines)], 1)
    assert cell.text == "\n".join(lines)


@given(st.text())
def test_any_text_is_read_or_refused_with_a_line(tmp_path_factory, text):
    path = tmp_path_factory.getbasetemp() / "08_noise.py"
    path.write_text("# ---\n# title: a\n# minutes: 1\n# prerequisites:\n# systems: b\n# passport: no\n# ---\n# %%\n" + text, encoding="utf-8", errors="replace")
    try:
        assert read_lab(path).cells
    except SourceError as error:
        assert error.line >= 1
