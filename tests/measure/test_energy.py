"""The published table as data, and the model by hand."""

import pytest

from tinylib.core.errors import TinylibError
from tinylib.measure.energy import energy_uj, load_energy_table


def test_energy_by_hand():
    table = load_energy_table()
    assert table.mac_pj("float32") == pytest.approx(4.6) and table.mac_pj("int8") == pytest.approx(0.3)
    assert table.byte_pj("DRAM") == pytest.approx(162.5)
    assert energy_uj(1_000_000, 1_000, table) == pytest.approx(4.6 + 0.1625)
    assert "Horowitz" in table.source


def test_unknown_names():
    table = load_energy_table()
    for call in (lambda: table.mac_pj("int7"), lambda: table.byte_pj("tape"), lambda: load_energy_table("abacus")):
        with pytest.raises(TinylibError):
            call()
