"""The fake lab in place of a real one, and a record folder that belongs to one test."""

import sys

import fake_lab
import pytest

from tinylib.check import notebook


@pytest.fixture(autouse=True)
def fake(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "tinylib.exercises.fake", fake_lab)
    monkeypatch.setenv("TINYLIB_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("TINYLIB_LEARNER", "demo")
    monkeypatch.setattr(notebook, "SESSION", notebook.Session())
    return fake_lab
