"""The bar follows the steps and is silent when nobody watches."""

from types import SimpleNamespace

import pytest
from tqdm import tqdm

from tinylib.show import progress


@pytest.mark.parametrize("static", [True, False])
def test_bar_follows_steps(monkeypatch, capsys, static):
    monkeypatch.setenv("TINYLIB_STATIC", "1" if static else "")
    bars = []
    monkeypatch.setattr(progress, "tqdm", lambda **options: bars.append(tqdm(mininterval=0, **options)) or bars[0])
    with progress.bar("fit") as on_step:
        for index in (0, 1, 1, 3):
            on_step(SimpleNamespace(index=index, total=5, loss=0.5))
    shown = capsys.readouterr().err
    assert ("fit" in shown) is not static
    assert static or (bars[0].n == 4 and "4/5" in shown)


def test_a_bar_named_by_a_number_is_refused_even_when_nobody_watches(monkeypatch):
    monkeypatch.setenv("TINYLIB_STATIC", "1")
    with pytest.raises(TypeError, match="named by text, not by 40"), progress.bar(40):
        pass
