"""Private instances of the lab once_for_all (public here; a class keeps its own, see the instructor's guide)."""

import numpy as np

from tinylib.exercises.once_for_all import evolve_instances, kernel_instances, recalibrate_instances, sort_instances


def other(rng):
    return np.random.default_rng(rng.integers(2**31))


INSTANCES = {
    "once_for_all.active_kernel": lambda rng: kernel_instances(other(rng)), "once_for_all.sort_channels": lambda rng: sort_instances(other(rng)),
    "once_for_all.recalibrate": lambda rng: recalibrate_instances(other(rng)), "once_for_all.evolve": lambda rng: evolve_instances(other(rng)),
}
