"""Labs as a learner meets them: opened in JupyterLab, run untouched, a slider moved, an exercise and a quiz item answered wrongly and rightly."""

import json
import shutil

import pytest
from jupyter_page import ROOT

WRONG = {       # lab -> body of a wrong answer to its first exercise, and words of the card that it gets; for all others: NOTHING
    "20_tinyengine": ("return np.clip((acc.astype(np.int64) * multiplier >> shift.astype(np.int64)) + zero, low, high).astype(np.int8)", "Add half a step"),
    "02_pruning": ("return torch.zeros_like(weight).bool()", "Smallest failing case"),
    "01_start_here": ("return None", "is a return missing?"),
}
NOTHING = ("return None", "not yet")
LABS = sorted(path.stem for path in (ROOT / "labs").glob("[0-9]*.ipynb"))


class Book:
    """The notebook file beside the page: which cell holds what."""

    def __init__(self, folder, name):
        self.cells = json.loads((ROOT / folder / f"{name}.ipynb").read_text(encoding="utf-8"))["cells"]

    def source(self, index):
        return "".join(self.cells[index]["source"])

    def role(self, role, id=None):
        """Index of the first cell of a role."""
        meta = [cell["metadata"].get("tinylib", {}) for cell in self.cells]
        return next(i for i, m in enumerate(meta) if m.get("role") == role and id in (None, m.get("id")))

    def id(self, index):
        return self.cells[index]["metadata"]["tinylib"]["id"]

    def panels(self):
        return [i for i, cell in enumerate(self.cells) if cell["cell_type"] == "code" and "panel(" in self.source(i) and "import" not in self.source(i)]


@pytest.mark.parametrize("name", LABS)
def test_a_learner_works_through_a_lab(lab_page, server, screenshots, name):
    shutil.copy(ROOT / f"labs/{name}.ipynb", server.books)
    lab, solved = Book("labs", name), Book("solutions", name)
    lab_page.open(f"{name}.ipynb")
    lab_page.run_all()
    page = lab_page.page
    trouble = page.locator(".jp-Notebook [data-mime-type='application/vnd.jupyter.stderr'], .jp-Notebook [data-mime-type='application/vnd.jupyter.error']")
    assert not [t for t in trouble.all_inner_texts() if "Error" in t or "Warning" in t], trouble.all_inner_texts()
    page.screenshot(path=screenshots / f"{name}-run.png")

    panel = lab.panels()[0]
    move_a_slider(lab_page, panel)
    lab_page.cells().nth(panel).screenshot(path=screenshots / f"{name}-panel.png")

    exercise, id = lab.role("exercise"), lab.id(lab.role("exercise"))
    check = lab.role("check", id)
    assert "not started yet" in lab_page.card(check).inner_text()
    body, words = WRONG.get(name, NOTHING)
    answer_and_check(lab_page, exercise, lab.source(exercise).replace("raise NotImplementedError", body), check)
    card = lab_page.card(check)
    assert "not yet" in card.inner_text() and words in card.inner_text()
    card.screenshot(path=screenshots / f"{name}-wrong.png")
    answer_and_check(lab_page, exercise, solved.source(exercise), check)
    assert lab_page.card(check).inner_text().startswith("passed")
    lab_page.card(check).screenshot(path=screenshots / f"{name}-right.png")

    live = [i for i in lab.panels() if f'"{id}"' in lab.source(i)]
    for index in live:
        lab_page.run(index)
        lab_page.cells().nth(index).screenshot(path=screenshots / f"{name}-live-{index}.png")

    quiz = lab.role("quiz")
    assert "None" in lab_page.card(quiz).inner_text()
    lab_page.rewrite(quiz, lab.source(quiz).replace("None", '"no such answer"'))
    assert "not yet" in lab_page.card(quiz).inner_text()
    lab_page.rewrite(quiz, solved.source(solved.role("quiz")))
    assert lab_page.card(quiz).inner_text().startswith("passed")


def answer_and_check(lab_page, exercise, source, check):
    lab_page.rewrite(exercise, source)
    lab_page.run(check)


def move_a_slider(lab_page, index):
    """Focus the first slider's handle, press a key; the picture and the text line must both become others."""
    cell = lab_page.cells().nth(index)
    cell.scroll_into_view_if_needed()
    picture, text = cell.locator("img.tinylib-figure"), cell.locator(".tinylib-text")
    picture.wait_for(timeout=20_000)
    before = picture.get_attribute("src"), text.inner_text()
    handle, readout = cell.locator(".noUi-handle").first, cell.locator(".widget-readout").first
    value = readout.inner_text()
    for key in ("ArrowRight", "ArrowLeft"):         # at the last stop there is only the way back
        handle.focus()
        lab_page.page.keyboard.press(key)
        lab_page.page.wait_for_timeout(300)
        if readout.inner_text() != value:
            break
    assert readout.inner_text() != value, "the slider does not move"
    assert cell.locator(".noUi-base").first.bounding_box()["width"] > 100, "the slider has no room beside its label"
    changed = "([panel, src, text]) => panel.querySelector('img.tinylib-figure').src !== src && panel.querySelector('.tinylib-text').innerText !== text"
    lab_page.page.wait_for_function(changed, arg=[cell.locator(".tinylib-panel").element_handle(), *before], timeout=20_000)


def test_the_labs_named_here_exist():
    """A wrong answer written for a lab that was renamed would never be tried."""
    assert set(WRONG) <= set(LABS)
