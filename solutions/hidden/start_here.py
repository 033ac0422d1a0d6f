"""Private instances of `start_here`. Public here, because this copy is for self-study; a class keeps its own."""

from tinylib.check.facts import size_of
from tinylib.exercises.start_here import only_params, random_conv, random_graph, random_window


def windows(rng):
    edge = [dict(n=7, kernel=7, stride=3, padding=0, dilation=1), dict(n=1, kernel=1, stride=2, padding=3, dilation=4),
            dict(n=8, kernel=3, stride=2, padding=2, dilation=3)]
    return edge + [random_window(rng) for _ in range(20)]


def convolutions(rng):
    edge = dict(c=12, k=4, kernel=[5, 2], size=[11, 17], stride=3, padding=2, dilation=2, groups=4, bias=True)
    return [edge, edge | dict(groups=1, bias=False, dilation=1)] + [random_conv(rng) for _ in range(16)]


def graphs(rng):
    long_wait = {"sizes": {"x": 40, "a": 4, "b": 12, "c": 12, "y": 4},
                 "steps": [["a", ["x"]], ["b", ["a"]], ["c", ["b"]], ["y", ["c", "x"]]]}
    return sorted([long_wait, *(random_graph(rng, int(rng.integers(4, 16))) for _ in range(12))], key=size_of)


def roofs(rng):
    return [dict(macs=int(rng.integers(10**3, 10**9)), numbers=int(rng.integers(10**2, 10**8)), bits=int(rng.choice([1, 4, 8, 16, 32])),
                 peak_macs=float(rng.integers(1, 80)) * 1e9, bandwidth=float(rng.integers(1, 40)) * 1e9) for _ in range(16)]


INSTANCES = {
    "start_here.output_size": windows,
    "start_here.conv_params": lambda rng: [only_params(args) for args in convolutions(rng)],
    "start_here.conv_macs": convolutions,
    "start_here.peak_bytes": graphs,
    "start_here.roofline": roofs,
}
