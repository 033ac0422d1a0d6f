"""The roof by hand, and a measured machine that is a machine."""

import pytest

from tinylib.core.errors import TinylibError
from tinylib.measure.roofline import Machine, attainable, intensity, least_ms, measure_machine

MACHINE = Machine(20e9, 10e9)


def test_roof_by_hand():
    assert MACHINE.ridge == 2
    assert attainable(0.5, MACHINE) == 5e9 and attainable(2, MACHINE) == attainable(100, MACHINE) == 20e9
    assert intensity(600, 300) == 2
    with pytest.raises(TinylibError):
        intensity(1, 0)


def test_least_time_is_the_larger_of_both():
    assert least_ms(20_000_000, 10, MACHINE) == pytest.approx(1)
    assert least_ms(10, 10_000_000, MACHINE) == pytest.approx(1)
    assert least_ms(20_000_000, 10_000_000, MACHINE) == pytest.approx(1)


def test_least_time_agrees_with_the_roof():
    for macs, moved in ((10**6, 10**5), (10**6, 10**7)):
        assert least_ms(macs, moved, MACHINE) == pytest.approx(1e3 * macs / attainable(intensity(macs, moved), MACHINE))


def test_measured_machine_is_positive():
    machine = measure_machine(seconds=0.05, side=64, copy_bytes=2**20)
    assert machine.macs_per_second > 0 and machine.bytes_per_second > 0
