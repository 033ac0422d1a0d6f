"""The bar follows the steps and is silent when nobody watches."""

import pytest

from tinylib.show import progress


@pytest.mark.parametrize("static", [True, False])
def test_bar_follows_steps(monkeypatch, capsys, static):
    monkeypatch.setenv("TINYLIB_STATIC", "1" if static else "")
    monkeypatch.setattr(progress, "tqdm", __import__("tqdm").tqdm)
    with progress.bar(3, "fit") as on_step:
        for step in (0, 1, 1, 2):
            on_step(step, 0.5)
    shown = capsys.readouterr().err
    assert ("fit" in shown) is not static
