"""Private instances of `qoc`. Public here, because this copy is for self-study; a class keeps its own."""

from tinylib.check.facts import size_of
from tinylib.exercises.qoc import C, R, adam_case, sample_case, shift_case


def shifts(rng):
    cases = [shift_case(rng, [R, R, R], [[(0, 1.0), (1, 1.0), (2, 1.0)]]), shift_case(rng, [R, C], [[(0, 2.0), (1, -2.0)]]),
             shift_case(rng, [C, C], [[(0, 1.0)], [(1, 3.0)]]),
             shift_case(rng, [R, R, C, R, C], [[(4, 0.5)], [(0, 1.0), (3, 2.0)]])]
    return sorted(cases, key=size_of)


def chains(rng):
    return sorted([{"jacobian": rng.normal(size=s), "upstream": rng.normal(size=s[:2])} for s in ((2, 1, 1), (4, 2, 5), (3, 6, 7), (1, 4, 2))], key=size_of)


def samples(rng):
    cases = [sample_case(rng, [5.0, 0.0], 2), sample_case(rng, [0.0, 0.0], 1), sample_case(rng, [1.0, 2.0, 10.0], 2),
             sample_case(rng, [0.1, 6.0, 0.0, 2.0, 1.0], 4)]
    return sorted(cases, key=size_of)


def steps(rng):
    return sorted([adam_case(rng, n, k, s) for n, k, s in ((2, 6, 0.5), (4, 9, 0.5), (6, 12, 0.34))], key=size_of)


INSTANCES = {
    "qoc.param_shift": shifts,
    "qoc.chain_rule": chains,
    "qoc.sample_weights": samples,
    "qoc.frozen_adam_step": steps,
}
