"""Cards in a real JupyterLab: shown, readable in the light and the dark theme, nothing cut off, markup of learners inert."""

from pathlib import Path

import nbformat
import pytest
from jupyter_page import need_chromium
from nbformat.v4 import new_code_cell, new_notebook

SETUP = """
import sys
sys.path.insert(0, {tests!r})
import fake_lab
sys.modules["tinylib.exercises.fake"] = fake_lab
from tinylib.check.notebook import answer, check, predict, ready, reveal
"""
CELLS = {
    "passed": 'check("fake.mask", fake_lab.reference)',
    "sign": 'check("fake.mask", fake_lab.without_abs)',
    "stub": 'def mask(weight, sparsity):\n    raise NotImplementedError\n\ncheck("fake.mask", mask)',
    "raises": 'def mask(weight, sparsity):\n    print("<b>shape</b>", weight.shape)\n    return weight.keep("<script>document.title = \'hit\'</script>")\n\n'
              'check("fake.mask", mask)',
    "large": 'def mask(weight, sparsity):\n    m = fake_lab.reference(weight, sparsity)\n    if m.shape[-1] == 16:\n        m[9, 12] ^= True\n    return m\n\n'
             'check("fake.mask", mask)',
    "exits": 'def mask(weight, sparsity):\n    exit()\n\ncheck("fake.mask", mask)',
    "ready": 'ready("fake.mask", mask).__name__',
    "quiz": 'answer("fake.quiz.2", None)',
    "right": 'answer("fake.quiz.2", "b")',
    "wrong": 'answer("fake.quiz.1", 12)',
    "predict": 'predict("fake.speed", 3.0)',
    "reveal": 'reveal("fake.speed", 1.02, "times")',
}
CONTRAST = """card => {
    const parse = text => text.match(/[\\d.]+/g).map(Number);
    const over = (top, under) => { const a = top.length > 3 ? top[3] : 1; return [0, 1, 2].map(i => top[i] * a + under[i] * (1 - a)); };
    const linear = v => v <= 10 ? v / 255 / 12.92 : ((v / 255 + 0.055) / 1.055) ** 2.4;
    const light = ([r, g, b]) => 0.2126 * linear(r) + 0.7152 * linear(g) + 0.0722 * linear(b);
    let worst = [99, ''];
    for (const element of card.querySelectorAll('*')) {
        if (![...element.childNodes].some(n => n.nodeType === 3 && n.textContent.trim())) continue;
        const stack = []; let opacity = 1;
        for (let e = element; e; e = e.parentElement) { const s = getComputedStyle(e); stack.push(parse(s.backgroundColor)); opacity *= +s.opacity; }
        const ground = stack.reverse().reduce((under, top) => over(top, under), [255, 255, 255]);
        const ink = over([...parse(getComputedStyle(element).color).slice(0, 3), opacity], ground);
        const [a, b] = [light(ink), light(ground)].sort((x, y) => y - x);
        const ratio = (a + 0.05) / (b + 0.05);
        if (ratio < worst[0]) worst = [ratio, element.textContent.slice(0, 60)];
    }
    return worst;
}"""


@pytest.fixture
def cards(lab_page, server):
    tests = str(Path(__file__).resolve().parents[1] / "check")
    cells = [new_code_cell(SETUP.format(tests=tests)), *(new_code_cell(source) for source in CELLS.values())]
    metadata = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    nbformat.write(new_notebook(cells=cells, metadata=metadata), server.books / "cards.ipynb")
    lab_page.open("cards.ipynb")
    lab_page.run_all()
    return lab_page


def card_of(lab_page, name):
    return lab_page.card(1 + list(CELLS).index(name))


def test_cards(cards, screenshots):
    says = {"passed": "All 3 properties hold", "sign": "The sign decides here", "stub": "not started yet", "raises": "Line 3 of your cell",
            "large": "rows 5 to 12 of 16", "exits": "Your code asked Python to exit", "ready": "reference in use", "quiz": "one & two",
            "right": "b it is.", "wrong": "Each float32 takes four bytes.", "predict": "It is kept", "reveal": "Too high by a factor of 2.94."}
    assert says.keys() == CELLS.keys()
    for name, words in says.items():
        assert words in card_of(cards, name).inner_text(), name
    assert card_of(cards, "sign").locator("td[title=differs]").count() == 4
    assert cards.page.title() != "hit" and card_of(cards, "raises").locator("script, b:has-text('shape')").count() == 0
    assert cards.cells().nth(1).locator(".jp-OutputArea-executeResult").count() == 0, "the result is echoed under its card"
    for theme in ("Light", "Dark"):
        cards.theme(f"JupyterLab {theme}")
        for name in CELLS:
            card = card_of(cards, name)
            ratio, text = card.evaluate(CONTRAST)
            card.screenshot(path=screenshots / f"card-{name}-{theme.lower()}.png")
            assert ratio >= 4.5, f"{name} in the {theme} theme: contrast {ratio:.1f} of {text!r}"
            assert card.evaluate("e => e.scrollWidth <= e.clientWidth"), f"{name} is cut off at the right"


def test_hints_unfold_one_by_one(cards, screenshots):
    card = card_of(cards, "sign")
    first, second = card.get_by_text("Hint 1 of 3"), card.get_by_text("Hint 2 of 3")
    assert first.is_visible() and not second.is_visible()
    first.click()
    assert card.get_by_text("Rank the magnitudes.").is_visible() and second.is_visible()
    card.screenshot(path=screenshots / "card-hints.png")


def test_a_missing_browser_is_named_in_one_line(monkeypatch):
    monkeypatch.setenv("PATH", "")
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.fail.Exception, match="On Debian: sudo apt install chromium") as caught:
        need_chromium()
    assert "\n" not in str(caught.value)
    monkeypatch.delenv("CI")
    with pytest.raises(pytest.skip.Exception):
        need_chromium()
