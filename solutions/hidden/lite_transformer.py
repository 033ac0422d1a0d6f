"""Private instances of `lite_transformer`. Public here, because this copy is for self-study; a class keeps its own."""

from tinylib.check.facts import size_of
from tinylib.exercises.lite_transformer import light_case, random_layer, random_light, random_stream, split_case, stream_case


def light(rng):
    edge = [light_case(rng, 1, 2, 1, 2, 9, True), light_case(rng, 2, 3, 3, 2, 8, False), light_case(rng, 2, 6, 2, 2, 4, False, True),
            light_case(rng, 3, 7, 4, 1, 5, True, True), light_case(rng, 1, 1, 2, 3, 1, False), light_case(rng, 1, 5, 1, 4, 6, False)]
    return sorted(edge + [random_light(rng) for _ in range(12)], key=size_of)


def split(rng):
    return sorted([split_case(rng, int(rng.integers(1, 4)), int(rng.integers(2, 6)), half) for half in (1, 2, 3, 5, 8)], key=size_of)


def macs(rng):
    edge = [{"n": 1, "d": 7, "near": 3, "taps": 31, "inner": 7}, {"n": 9, "d": 12, "near": 12, "taps": 3, "inner": 12},
            {"n": 17, "d": 10, "near": 0, "taps": 9, "inner": 40}]
    return sorted(edge + [random_layer(rng) for _ in range(12)], key=size_of)


def streams(rng):
    edge = [stream_case(rng, 2, 2, 7, 2, 9, [0, 0, 2, 1], 3), stream_case(rng, 1, 3, 1, 2, 2, [1, 0], 2), stream_case(rng, 3, 1, 4, 1, 6, [1, 1, 1], 2)]
    return sorted(edge + [random_stream(rng) for _ in range(10)], key=size_of)


INSTANCES = {"lite_transformer.light_convolution": light, "lite_transformer.long_short": split, "lite_transformer.layer_macs": macs,
             "lite_transformer.convolution_stream": streams}
