"""Every lab that exists: notebooks belong to their source, hold no answer, are graded by nbgrader's rules, and have the parts of a lab."""

import ast

import nbformat
import pytest
from nbgrader.nbgraderformat import MetadataValidator

from tinylib.course.build import drift, project, strays
from tinylib.course.execute import MAX_BYTES
from tinylib.course.generate import BEGIN, END, MAX_CODE_LINES, generate, secrets
from tinylib.course.index import index_drift
from tinylib.course.known import declared
from tinylib.course.source import Lab, find_sources, read_lab

COURSE = project()
LABS = [read_lab(path) for path in find_sources(COURSE.sources)]
every_lab = pytest.mark.parametrize("lab", LABS, ids=lambda lab: lab.slug)


def notebook(folder, lab):
    return nbformat.read(folder / f"{lab.stem}.ipynb", as_version=nbformat.NO_CONVERT)


def parts_missing(lab: Lab, questions: dict[str, tuple[str, int]]) -> list[str]:
    """What a lab lacks of its anatomy: prediction and reveal, panel, exercises, decision with a reason, quiz."""
    count = lambda wanted: sum(kind == wanted for kind, _ in questions.values())
    wants = {
        "a prediction": count("prediction") >= 1 and lab.named("predict"),
        "a reveal of each prediction": set(lab.named("reveal")) == set(lab.named("predict")),
        "a panel": lab.named("panel"),
        "three to five exercises": 3 <= len(lab.named("check")) <= 5,
        "a decision": count("decision") >= 1,
        "a reason for the decision": any(cell.role == "reason" for cell in lab.cells),
        "a quiz of five": count("quiz") == 5,
        "more prose than code": sum(len(c.text.split()) for c in lab.cells if c.kind == "markdown") >
                                sum(len(c.text.split()) for c in lab.cells if c.kind == "code" and c.role != "exercise"),
    }
    return [part for part, there in wants.items() if not there]


def test_numbers_and_slugs_are_unique():
    assert len({lab.number for lab in LABS}) == len({lab.slug for lab in LABS}) == len(LABS)


def test_tables_are_up_to_date_and_no_notebook_is_without_source():
    assert index_drift() + strays(COURSE) == []


def test_prerequisites_exist_and_come_first():
    numbers = {lab.slug: lab.number for lab in LABS}
    for lab in LABS:
        for needed in lab.prerequisites:
            assert needed in numbers, f"{lab.slug} requires {needed}, which is no lab here"
            assert numbers[needed] < lab.number, f"{lab.slug} requires {needed}, which comes later"


@every_lab
def test_notebooks_belong_to_their_source(lab):
    assert drift(COURSE, lab) == []


@every_lab
def test_the_lab_holds_no_answer(lab):
    book = notebook(COURSE.labs, lab)
    text = "\n".join(cell.source for cell in book.cells)
    assert not any(mark in text for mark in (BEGIN, END, "### SOLUTION", "NBVAL_CHECK_OUTPUT"))
    assert [line for line, _ in secrets(lab) if line in text] == []
    assert all(cell.outputs == [] and cell.execution_count is None for cell in book.cells if cell.cell_type == "code")
    stubs = [cell.source for cell in book.cells if cell.metadata.get("tinylib", {}).get("role") == "exercise"]
    assert stubs and all("raise NotImplementedError" in stub and ast.parse(stub) for stub in stubs)


@every_lab
@pytest.mark.parametrize("folder", ["labs", "solutions"])
def test_notebooks_are_valid_for_nbformat_and_nbgrader(lab, folder):
    book = notebook(COURSE.root / folder, lab)
    nbformat.validate(book)
    MetadataValidator().validate_nb(book)
    assert book.metadata["tinylib"]["slug"] == lab.slug and book.metadata["tinylib"]["release"]


@every_lab
def test_the_solved_notebook_ran_well_and_is_small(lab):
    path = COURSE.sources / f"{lab.stem}.ipynb"
    book = notebook(COURSE.sources, lab)
    assert path.stat().st_size <= MAX_BYTES
    outputs = [o for cell in book.cells if cell.cell_type == "code" for o in cell.outputs]
    assert not any(o.output_type == "error" for o in outputs)
    assert sum("image/png" in o.get("data", {}) for o in outputs) >= len(lab.named("panel"))


@every_lab
def test_the_lab_has_its_parts(lab):
    assert parts_missing(lab, declared(lab.slug).questions) == []


@every_lab
def test_cells_are_short(lab):
    code = [cell.text.count("\n") + 1 for cell in lab.cells if cell.kind == "code"]
    assert max(code) <= MAX_CODE_LINES
    assert 30 <= len(lab.cells) <= 80, f"{len(lab.cells)} cells; a lab has 30 to 60, 80 at the very most"


@every_lab
def test_generating_twice_gives_the_same_notebooks(lab):
    known = declared(lab.slug)
    assert generate(lab, known) == generate(lab, known)


def test_a_lab_without_its_parts_is_seen(tmp_path):
    (tmp_path / "07_empty.py").write_text("# ---\n# title: a\n# minutes: 1\n# prerequisites:\n# systems: b\n# passport: no\n# ---\n# %%\nstart('empty')\n")
    missing = parts_missing(read_lab(tmp_path / "07_empty.py"), {})
    assert len(missing) == 7 and "a quiz of five" in missing
