"""A panel's picture is dragged with the mouse: the slider follows, and so do picture and text."""

import nbformat

SOURCE = """
from tinylib.show.panel import Panel, Slider
from tinylib.show.widget import build

def draw(figure, record):
    figure.add_subplot().set(title=f"{record} degrees", xlabel="x (px)", ylabel="y (px)")

build(Panel("demo.turn", (Slider("angle", "turn (degrees)", tuple(range(0, 360, 15)), 0, turn=True),), lambda p, f: p["angle"], draw,
            lambda record: f"Seen from {record} degrees."))
"""


def test_dragging_a_picture_turns_it(lab_page, server, screenshots):
    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(SOURCE.strip())])
    book.metadata["kernelspec"] = {"name": "python3", "display_name": "Python 3", "language": "python"}
    nbformat.write(book, server.books / "turn.ipynb")
    lab_page.open("turn.ipynb")
    lab_page.run_all()
    page, text = lab_page.page, lab_page.page.locator(".tinylib-text")
    picture = page.locator("img.tinylib-figure")
    picture.wait_for(timeout=20_000)
    page.wait_for_timeout(1000)         # the invisible widget draws last
    drag(page, picture, 100)
    page.wait_for_function("() => /from (?!0 )\\d+ degrees/.test(document.querySelector('.tinylib-text').innerText)", timeout=20_000)
    page.wait_for_timeout(1500)
    right = int(text.inner_text().split()[2])
    assert 15 <= right <= 180, right
    drag(page, picture, -200)
    page.wait_for_function("right => !document.querySelector('.tinylib-text').innerText.includes(`from ${right} `)", arg=right, timeout=20_000)
    page.wait_for_timeout(1500)
    left = int(text.inner_text().split()[2])
    assert left > 180, "to the left beyond 0 it goes on at 345"
    page.mouse.move(10, 10)
    page.screenshot(path=screenshots / "turn.png")


def drag(page, picture, pixels):
    """Press on the picture, move sideways in small steps, let go."""
    box = picture.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(x + pixels, y, steps=10)
    page.mouse.up()
