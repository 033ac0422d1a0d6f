"""Exercises and questions of the lab `tsm`: a shift of channels gives a 2D network a sense of time."""

import numpy as np
import torch

from tinylib.check.exercise import Args, Exercise, Facts, Misconception
from tinylib.check.facts import size_of
from tinylib.check.properties import agrees, at_most, no_mutation, shape_and_dtype
from tinylib.check.question import Question
from tinylib.exercises.harness import tsm as harness
from tinylib.exercises.questions.tsm import ask_blind, ask_circular, ask_decide, ask_early, ask_moved, ask_online, ask_state, ask_where
from tinylib.video import tsm

FRACTIONS = (1 / 8, 1 / 4, 1 / 2)
MODES = ("none", "both", "past")

# --- the shift ----------------------------------------------------------------------------------------------------------


def shift_case(rng: np.random.Generator, shape: tuple, fraction: float, mode: str) -> Args:
    return {"x": rng.integers(1, 10, shape).astype(float), "upstream": rng.integers(1, 10, shape).astype(float), "fraction": fraction, "mode": mode}


def random_shift(rng: np.random.Generator) -> Args:
    shape = tuple(int(v) for v in (rng.integers(1, 4), rng.integers(1, 6), rng.integers(3, 12), rng.integers(1, 4), rng.integers(1, 4)))
    return shift_case(rng, shape, float(rng.choice(FRACTIONS)), str(rng.choice(MODES)))


def shift_instances(rng: np.random.Generator) -> list[Args]:
    fixed = [shift_case(rng, (1, 3, 4, 1, 1), 1 / 4, "past"), shift_case(rng, (1, 3, 4, 1, 1), 1 / 4, "both"), shift_case(rng, (1, 1, 4, 1, 1), 1 / 4, "both"),
             shift_case(rng, (2, 3, 5, 1, 1), 1 / 4, "past"), shift_case(rng, (2, 3, 7, 2, 1), 1 / 4, "both"), shift_case(rng, (1, 3, 4, 2, 2), 1 / 2, "none")]
    return sorted(fixed + [random_shift(rng) for _ in range(8)], key=size_of)


def moved_from(channel: int, channels: int, fraction: float, mode: str) -> int:
    """-1 when the channel's value comes from the frame before, 1 from the frame after, 0 from its own."""
    m = int(channels * fraction)
    if mode in ("past", "both") and channel < m:
        return -1
    return 1 if mode == "both" and channel < 2 * m else 0


def shift_oracle(args: Args) -> Facts:
    """Ask of every place which frame its value comes from; the gradient goes back the same way."""
    x, upstream = args["x"], args["upstream"]
    out, gradient = np.zeros_like(x), np.zeros_like(x)
    for t in range(x.shape[1]):
        for channel in range(x.shape[2]):
            source = t + moved_from(channel, x.shape[2], args["fraction"], args["mode"])
            if 0 <= source < x.shape[1]:
                out[:, t, channel] = x[:, source, channel]
                gradient[:, source, channel] += upstream[:, t, channel]
    return {"out": out, "gradient": gradient, "mutated": False}


def circular(x, fraction=1 / 8, mode="both"):
    m = int(x.shape[2] * fraction)
    parts = [x[:, :, :m].roll(1, 1) if mode != "none" else x[:, :, :m], x[:, :, m:2 * m].roll(-1, 1) if mode == "both" else x[:, :, m:2 * m]]
    return torch.cat([*parts, x[:, :, 2 * m:]], 2)


def across_clips(x, fraction=1 / 8, mode="both"):
    flat = x.flatten(0, 1)[None]
    return tsm.temporal_shift(flat, fraction, mode).reshape(x.shape)


def other_way(x, fraction=1 / 8, mode="both"):
    return tsm.temporal_shift(x.flip(1), fraction, mode).flip(1)


def always_both(x, fraction=1 / 8, mode="both"):
    return tsm.temporal_shift(x, fraction, "both" if mode == "past" else mode)


def repeats_the_edge(x, fraction=1 / 8, mode="both"):
    m = int(x.shape[2] * fraction) if mode != "none" else 0
    out = tsm.temporal_shift(x, fraction, mode).clone()
    out[:, 0, :m] = x[:, 0, :m]
    if mode == "both":
        out[:, -1, m:2 * m] = x[:, -1, m:2 * m]
    return out


SHIFT = Exercise(
    "tsm.temporal_shift", 5, 15, harness.temporal_shift, shift_instances, shift_oracle,
    (shape_and_dtype("out"), agrees("out"), agrees("gradient"), no_mutation(group="manners")),
    (Misconception(circular, "`roll` carries the last frame round to the first. Nothing was there: those places are zero."),
     Misconception(across_clips, "The shift runs across the border between two clips of the batch. Each clip is a video of its own."),
     Misconception(other_way, "The direction is reversed: the first channels take what they held one frame earlier."),
     Misconception(always_both, "In mode 'past' only the first group of channels moves; nothing may come from the future."),
     Misconception(repeats_the_edge, "At the ends there is no frame to take from: fill with zeros, not with the frame itself.")),
    ("Start from zeros and copy three groups of channels into place.",
     "out[:, 1:, :m] comes from x[:, :-1, :m]. For 'both' the next m channels go the other way.",
     "m = int(c * fraction); the channels that do not move are copied as they are. 'none' is a plain copy."), tsm.temporal_shift)

# --- streaming ----------------------------------------------------------------------------------------------------------


def stream_case(rng: np.random.Generator, shape: tuple, fraction: float) -> Args:
    return {"one": rng.integers(1, 10, shape).astype(float), "other": rng.integers(1, 10, shape).astype(float), "fraction": fraction}


def stream_instances(rng: np.random.Generator) -> list[Args]:
    fixed = [stream_case(rng, (2, 1, 4, 1, 1), 1 / 4), stream_case(rng, (1, 1, 4, 1, 1), 1 / 4), stream_case(rng, (3, 2, 7, 1, 2), 1 / 4)]
    drawn = [stream_case(rng, tuple(int(v) for v in (rng.integers(2, 6), rng.integers(1, 3), rng.integers(4, 12), 2, 2)), float(rng.choice(FRACTIONS)))
             for _ in range(6)]
    return sorted(fixed + drawn, key=size_of)


def stream_oracle(args: Args) -> Facts:
    """The one-way shift of the whole video, looked up place by place."""
    def whole(video: np.ndarray) -> np.ndarray:
        out = video.copy()
        for t in range(len(video)):
            for channel in range(int(video.shape[2] * args["fraction"])):
                out[t, :, channel] = video[t - 1, :, channel] if t else 0
        return out

    return {"one": whole(args["one"]), "other": whole(args["other"]), "after_reset": whole(args["one"])[0], "mutated": False}


class SharedMemory:
    """Keeps the waiting channels in the class, so two streams mix."""

    waiting = None

    def __init__(self, fraction):
        self.fraction = fraction
        type(self).waiting = None

    def __call__(self, frame):
        m = int(frame.shape[1] * self.fraction)
        held = torch.zeros_like(frame[:, :m]) if type(self).waiting is None else type(self).waiting
        type(self).waiting = frame[:, :m].clone()
        return torch.cat([held, frame[:, m:]], 1)

    def reset(self):
        type(self).waiting = None


class KeepsShifted(tsm.StreamingShift):
    """Stores the channels after the shift instead of before it."""

    def forward(self, x):
        m = int(x.shape[1] * self.fraction)
        held = torch.zeros_like(x[:, :m]) if self.waiting is None else self.waiting
        self.waiting = x[:, :m].clone() if self.waiting is None else held
        return torch.cat([held, x[:, m:]], 1)


class NeverForgets(tsm.StreamingShift):
    """Its reset does nothing."""

    def reset(self):
        pass


class Reference(tsm.StreamingShift):
    """`tinylib.video.tsm.StreamingShift` with the `reset` that `Streaming` gives it."""

    def reset(self):
        self.waiting = None


STREAM = Exercise(
    "tsm.streaming_shift", 5, 15, harness.streaming_shift, stream_instances, stream_oracle,
    (agrees("one"), agrees("other", name="two streams do not mix"), agrees("after_reset", name="`reset` starts a new video"), no_mutation(group="manners")),
    (Misconception(SharedMemory, "Two streams mix: the waiting channels must belong to the object (`self`), not to the class."),
     Misconception(KeepsShifted, "Keep the channels of the frame as it came, before the shift: the next frame needs what this frame held."),
     Misconception(NeverForgets, "After `reset()` a new video starts: the first frame must find zeros waiting.")),
    ("What does the next frame need from this one? Only that has to wait.",
     "Keep the first m channels of the frame as it came; hand out those of the frame before.",
     "__call__: held = what waited (or zeros); wait for the next with frame[:, :m].clone(); return torch.cat([held, frame[:, m:]], 1)"), Reference)

# --- order gap ----------------------------------------------------------------------------------------------------------


def gap_case(rng: np.random.Generator, b: int, t: int, over_time: np.ndarray) -> Args:
    return {"clips": rng.integers(-5, 6, (b, t, 2, 2, 1)).astype(float), "over_time": over_time, "weight": rng.integers(-3, 4, (3, 4)).astype(float)}


def gap_instances(rng: np.random.Generator) -> list[Args]:
    fixed = [gap_case(rng, 1, 2, np.array([1.0, 0.0])), gap_case(rng, 1, 2, np.array([0.5, 0.5])), gap_case(rng, 2, 3, np.array([0.0, 0.5, 0.5])),
             gap_case(rng, 3, 4, np.array([0.25] * 4)), gap_case(rng, 1, 1, np.array([1.0]))]
    return sorted(fixed + [gap_case(rng, int(rng.integers(1, 5)), 4, rng.integers(-2, 3, 4).astype(float)) for _ in range(6)], key=size_of)


def gap_oracle(args: Args) -> Facts:
    """Every output of every clip, forwards and backwards, by loops over frames."""
    largest = 0.0
    for clip in args["clips"]:
        for row in args["weight"]:
            forwards = sum(a * (row @ frame.ravel()) for a, frame in zip(args["over_time"], clip))
            backwards = sum(a * (row @ frame.ravel()) for a, frame in zip(args["over_time"], clip[::-1]))
            largest = max(largest, abs(forwards - backwards))
    return {"gap": float(largest), "calls": 2, "mutated": False}


def order_gap(model, clips):
    return (model(clips) - model(clips.flip(1))).abs().max().item()


def signed(model, clips):
    return (model(clips) - model(clips.flip(1))).max().item()


def average(model, clips):
    return (model(clips) - model(clips.flip(1))).abs().mean().item()


def wrong_axis(model, clips):
    return (model(clips) - model(clips.flip(0))).abs().max().item()


GAP = Exercise(
    "tsm.order_gap", 3, 8, harness.order_gap, gap_instances, gap_oracle,
    (agrees("gap", atol=1e-9), at_most("calls", "calls", "calls", group="cost"), no_mutation(group="manners")),
    (Misconception(signed, "A difference can be negative too: take its absolute value before the largest."),
     Misconception(average, "The mean hides a single output that moves. The largest difference shows whether *any* does."),
     Misconception(wrong_axis, "That axis is the batch. Time is the second axis of (b, t, c, h, w).")),
    ("Play the clips backwards and compare the outputs.", "Time is axis 1: clips.flip(1) is the reversed clip.",
     "(model(clips) - model(clips.flip(1))).abs().max().item()"),
    order_gap)

# --- bytes moved --------------------------------------------------------------------------------------------------------


def random_bytes(rng: np.random.Generator) -> Args:
    return {"c": int(rng.integers(2, 40)), "t": int(rng.integers(1, 9)), "h": int(rng.integers(1, 7)), "w": int(rng.integers(1, 7)),
            "fraction": float(rng.choice(FRACTIONS)), "mode": str(rng.choice(MODES)), "bytes_each": int(rng.choice([1, 2, 4]))}


def bytes_instances(rng: np.random.Generator) -> list[Args]:
    base = {"c": 8, "t": 3, "h": 1, "w": 1, "fraction": 1 / 8, "mode": "past", "bytes_each": 1}
    fixed = [base, base | {"mode": "both"}, base | {"t": 1}, base | {"c": 9, "h": 2, "w": 3, "bytes_each": 4}, base | {"mode": "none"}]
    return sorted(fixed + [random_bytes(rng) for _ in range(10)], key=lambda a: a["c"] * a["t"] * a["h"] * a["w"])


def bytes_oracle(args: Args) -> Facts:
    """Count the places whose value came from another frame."""
    count = sum(1 for t in range(args["t"]) for channel in range(args["c"])
                if (step := moved_from(channel, args["c"], args["fraction"], args["mode"])) and 0 <= t + step < args["t"])
    return {"bytes": count * args["h"] * args["w"] * args["bytes_each"]}


def bytes_moved(c, t, h, w, fraction, mode, bytes_each):
    return tsm.bytes_moved(c, t, h, w, fraction=fraction, mode=mode, bytes_each=bytes_each)


def every_frame(c, t, h, w, fraction, mode, bytes_each):
    return {"none": 0, "past": 1, "both": 2}[mode] * int(c * fraction) * t * h * w * bytes_each


def one_way_only(c, t, h, w, fraction, mode, bytes_each):
    return (mode != "none") * int(c * fraction) * (t - 1) * h * w * bytes_each


def part_channels(c, t, h, w, fraction, mode, bytes_each):
    return round({"none": 0, "past": 1, "both": 2}[mode] * c * fraction * (t - 1) * h * w * bytes_each)


BYTES = Exercise(
    "tsm.bytes_moved", 3, 8, harness.bytes_moved, bytes_instances, bytes_oracle, (shape_and_dtype("bytes"), agrees("bytes")),
    (Misconception(every_frame, "At one end of the clip there is no frame to take from: t frames give t - 1 moves."),
     Misconception(one_way_only, "Mode 'both' moves two groups of channels, one each way."),
     Misconception(part_channels, "Only whole channels move: int(c * fraction) of them in each direction.")),
    ("How many numbers change their frame, in one direction?", "int(c * fraction) channels, t - 1 moves, h * w places.",
     "Times 0, 1 or 2 directions, times bytes_each."),
    bytes_moved)

EXERCISES = (SHIFT, GAP, STREAM, BYTES)

QUESTIONS = (
    Question("tsm.blind", "prediction", 1, ask_blind),
    Question("tsm.early", "prediction", 1, ask_early),
    Question("tsm.decide", "decision", 3, ask_decide),
    Question("tsm.quiz.1", "quiz", 1, ask_moved),
    Question("tsm.quiz.2", "quiz", 1, ask_circular),
    Question("tsm.quiz.3", "quiz", 1, ask_state),
    Question("tsm.quiz.4", "quiz", 1, ask_online),
    Question("tsm.quiz.5", "quiz", 1, ask_where),
)
