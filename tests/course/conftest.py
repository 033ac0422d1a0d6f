"""A tiny course in a temporary folder: one lab `demo` with its own exercises, panel and question."""

import importlib
import sys

import pytest
from demo_course import EXERCISES, HARNESS, PANEL, SOURCE

import tinylib.exercises
import tinylib.exercises.harness
import tinylib.panels
from tinylib.course.build import Course


@pytest.fixture
def course(tmp_path, monkeypatch):
    """The demo course; its modules are found here and in kernels started from here."""
    modules = tmp_path / "modules"
    for room, text in (("exercises", EXERCISES), ("harness", HARNESS), ("panels", PANEL)):
        (modules / room).mkdir(parents=True)
        (modules / room / "demo.py").write_text(text)
    rooms = {tinylib.exercises: "exercises", tinylib.exercises.harness: "harness", tinylib.panels: "panels"}
    for package, folder in rooms.items():
        monkeypatch.setattr(package, "__path__", [*package.__path__, str(modules / folder)])
    (modules / "sitecustomize.py").write_text("import tinylib.exercises.harness, tinylib.panels\n" + "".join(
        f"{package.__name__}.__path__.append({str(modules / folder)!r})\n" for package, folder in rooms.items()))
    monkeypatch.setenv("PYTHONPATH", str(modules))
    importlib.invalidate_caches()
    (tmp_path / "solutions").mkdir()
    (tmp_path / "solutions" / "07_demo.py").write_text(SOURCE)
    yield Course(tmp_path)
    for name in [n for n in sys.modules if n.endswith((".demo",)) and n.startswith("tinylib.")]:
        parent, _, leaf = name.rpartition(".")
        delattr(sys.modules[parent], leaf)
        del sys.modules[name]
