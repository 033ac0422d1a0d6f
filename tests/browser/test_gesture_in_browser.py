"""The gesture panel of the lab tsm in a real browser: a garment dragged with the mouse, grown, turned; then the sliders take over."""

import math

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

CELL = "from tinylib.course.lab import panel, start\nstart('tsm')\npanel('tsm.gesture')"


@pytest.fixture
def cell(lab_page, server):
    metadata = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
    nbformat.write(new_notebook(cells=[new_code_cell(CELL)], metadata=metadata), server.books / "gesture.ipynb")
    lab_page.open("gesture.ipynb")
    lab_page.run_all()
    cell = lab_page.cells().first
    cell.locator(".tinylib-drag-field").wait_for(timeout=30_000)
    cell.locator("img.tinylib-figure").wait_for(timeout=30_000)
    return cell


def seen(cell):
    return cell.locator("img.tinylib-figure").get_attribute("src"), cell.locator(".tinylib-text").inner_text()


def drag(page, cell, points, mode="move"):
    """Press at the first point, move over all, let go; points in shares of the field, (0, 0) its centre. Gives the text that comes."""
    cell.locator(f"button[data-mode={mode}]").click()
    cell.locator(".tinylib-drag-field").scroll_into_view_if_needed()
    box = cell.locator(".tinylib-drag-field").bounding_box()
    places = [(box["x"] + box["width"] * (0.5 + x), box["y"] + box["height"] * (0.5 + y)) for x, y in points]
    before = seen(cell)
    page.mouse.move(*places[0])
    page.mouse.down()
    for x, y in places:
        page.mouse.move(x, y)
        page.wait_for_timeout(25)
    page.mouse.up()
    page.wait_for_function("([cell, src, text]) => cell.querySelector('img.tinylib-figure').src !== src && "
                           "cell.querySelector('.tinylib-text').innerText !== text", arg=[cell.element_handle(), *before], timeout=30_000)
    return seen(cell)[1]


def line(start, end, steps=20):
    return [tuple(a + (b - a) * i / steps for a, b in zip(start, end)) for i in range(steps + 1)]


def arc(start, end, radius=0.35, steps=20):
    """Around the centre, angles clockwise from above."""
    return [(radius * math.sin(a), -radius * math.cos(a)) for a in (start + (end - start) * i / steps for i in range(steps + 1))]


def test_a_mouse_draws_gestures(lab_page, cell, screenshots):
    page = lab_page.page
    assert "Sliders draw 'right'" in seen(cell)[1]
    for points, mode, words in ((line((0.3, 0.02), (-0.3, 0)), "move", "You drew 'left'"), (line((0, -0.3), (0.02, 0.3)), "move", "You drew 'down'"),
                                (line((-0.25, 0.25), (0.25, -0.25)), "move", "no trained motion"),
                                (line((0.12, 0), (0.42, 0)), "size", "You drew 'grow'"), (arc(1.1, -1.1), "turn", "You drew 'turn left'")):
        assert words in drag(page, cell, points, mode)
        cell.screenshot(path=screenshots / f"gesture-{mode}-{words.split()[-1].strip(chr(39))}.png")
    assert "Seen." in cell.locator(".tinylib-drag-note").inner_text()

    before = seen(cell)[1]
    cell.locator(".noUi-handle").first.focus()
    page.keyboard.press("ArrowRight")
    page.wait_for_function("([cell, text]) => cell.querySelector('.tinylib-text').innerText !== text", arg=[cell.element_handle(), before], timeout=30_000)
    assert "Sliders draw" in seen(cell)[1] and "Seen." not in cell.locator(".tinylib-drag-note").inner_text()


def test_the_wheel_grows_only_while_the_button_is_down(lab_page, cell):
    page, field = lab_page.page, cell.locator(".tinylib-drag-field")
    before = seen(cell)
    box = field.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.wheel(0, -100)
    page.wait_for_timeout(500)
    assert seen(cell) == before, "without a pressed button the wheel belongs to the page"
    box = field.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    for _ in range(12):
        page.mouse.wheel(0, 60)
        page.wait_for_timeout(30)
    page.mouse.up()
    page.wait_for_function("cell => cell.querySelector('.tinylib-text').innerText.includes(\"You drew 'shrink'\")", arg=cell.element_handle(), timeout=30_000)
