"""Private instances of `anycost_gan`. Public here, because this copy is for self-study; a class keeps its own."""

from tinylib.check.facts import size_of
from tinylib.exercises.anycost_gan import conv_case, random_conv, sample_case, search_case, sort_case


def convs(rng):
    edge = [conv_case(rng, 3, 1, 5, 4, 1, 3, 1, True), conv_case(rng, 2, 4, 4, 3, 3, 3, 3, False)]
    return sorted(edge + [random_conv(rng) for _ in range(10)], key=size_of)


def sorts(rng):
    return sorted([sort_case(rng, 6, 3, ties=True)] + [sort_case(rng, int(rng.integers(2, 9)), int(rng.integers(1, 5))) for _ in range(8)], key=size_of)


def samples(rng):
    return [sample_case(rng, 7, 0.9, [0.25, 0.5, 1.0]), sample_case(rng, 3, 0.5), sample_case(rng, 4, 0.1)]


def searches(rng):
    return [search_case(rng, 2, -0.1), *(search_case(rng, n, float(s)) for n in (2, 3, 4, 5) for s in rng.uniform(0, 1, 3))]


INSTANCES = {"anycost_gan.modulated_conv": convs, "anycost_gan.sort_channels": sorts, "anycost_gan.sample_ratios": samples,
             "anycost_gan.search_budget": searches}
