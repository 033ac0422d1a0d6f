"""Predictions, decisions and quiz of the lab `tinyengine`. Each function draws the item for one learner."""

import numpy as np

from tinylib.check.answers import as_number, letter, number
from tinylib.check.question import Item

KIB = 1024


def ask_simd(rng: np.random.Generator) -> Item:
    return Item("A plain C loop for a 3x3 convolution, written channel after channel, becomes generated code with SIMD. "
                "By what factor do the executed instructions fall? (One number.)",
                lambda value: None if as_number(value) else "Give one number, for example 3.",
                "One SIMD instruction does two MACs, and most of the rest was loads and loop counting: both can be shared.")


def ask_patches(rng: np.random.Generator) -> Item:
    return Item("A network like MobileNetV2 runs its first layers in 3 x 3 patches. How does its memory peak change?",
                letter("b", {}), "The peak lies in the early, large tensors, which no longer exist whole. The input, the tensor behind the patches and the "
                "halo remain, so it is not nine times.",
                (("a", "it falls about 9 times, one for each patch"), ("b", "it falls 3 to 5 times"), ("c", "it stays: all outputs are needed in the end"),
                 ("d", "it rises, since the halo is stored twice")))


def ask_lifetimes(rng: np.random.Generator) -> Item:
    def verify(value: object) -> str | None:
        if type(value) is not list or len(value) != 4 or not all(type(v) is int and v >= 0 for v in value):
            return "Give a list of four whole numbers: the offsets of input, left, right and sum."
        sizes, lives = (16, 24, 24, 24), ((0, 1), (0, 2), (1, 2), (2, 2))
        for j in range(4):
            if value[j] + sizes[j] > 72:
                return f"Buffer {j} ends at byte {value[j] + sizes[j]}, the arena has 72."
            for i in range(j):
                together = lives[i][0] <= lives[j][1] and lives[j][0] <= lives[i][1]
                if together and value[i] < value[j] + sizes[j] and value[j] < value[i] + sizes[i]:
                    return f"Buffers {i} and {j} are alive together and share bytes."
        return None
    return Item("Four buffers: input (16 bytes, steps 0-1), left (24, 0-2), right (24, 1-2), sum (24, 2-2). "
                "Give offsets that fit an arena of 72 bytes. (A list of four numbers.)", verify,
                "All but `input` are alive in step 2 and fill 72 bytes. `sum` may take the room of `input`, which is free by then.")


def budget_kib(rng: np.random.Generator) -> int:
    """This learner's SRAM for activations in KiB."""
    return int(rng.choice([200, 216, 240]))


def ask_budget(rng: np.random.Generator) -> Item:
    budget = budget_kib(rng)

    def verify(value: object) -> str | None:
        from tinylib.deploy.patch import Patching, patchable
        from tinylib.deploy.planner import plan
        from tinylib.deploy.seeded import mobilenet

        if type(value) is not dict or set(value) != {"split", "patches"} or not all(type(v) is int for v in value.values()):
            return 'Give a dictionary such as {"split": 6, "patches": 2}.'
        graph, split, n = mobilenet(), value["split"], value["patches"]
        reason = patchable(graph, split)
        if reason:
            return f"That split does not work: {reason}."
        h = graph.tensors[graph.ops[split - 1].output].shape[0]
        if not 1 <= n <= h:
            return f"The tensor at that split has {h} rows: patches must be between 1 and {h}."
        whole, made = plan(graph).macs, plan(graph, patching=Patching(split, n, n))
        if made.peak_bytes > budget * KIB:
            return f"The peak is {made.peak_bytes / KIB:.0f} KiB, the budget {budget} KiB."
        extra = 100 * (made.macs / whole - 1)
        return None if extra <= 6 else f"It fits, but costs {extra:.0f} % more MACs. A split that fits for 6 % or less exists."
    return Item(f"The MobileNetV2-like network must fit {budget} KiB of arena. Which split (operators run in patches) and how many patches a side, "
                "for at most 6 % more MACs? (A dictionary with `split` and `patches`.)", verify,
                "An early split has a small halo. It must lie behind the first narrow tensor of lower resolution, else the wide one still exists whole.")


def ask_rounding(rng: np.random.Generator) -> Item:
    acc, s = int(rng.choice([-10, -6, -14])), 2
    right = (acc + 2) >> s
    return Item(f"What is ({acc} * 1 + 2**(s-1)) >> s for s = {s}?", number(right, "Shift right means: divide and round down, also below zero."),
                f"({acc} + 2) >> 2 = {right}: {acc / 4} is a tie and goes upwards.")


def ask_inplace(rng: np.random.Generator) -> Item:
    return Item("In which case must a depth-wise convolution not write over its input?",
                letter("c", {"a": "With stride 2 the output is smaller and still lies only where inputs of its own channel lay.",
                             "b": "A larger kernel needs a larger copy of one channel, no more.",
                             "d": "Channels do not mix, however many there are."}),
                "In place destroys the input. A residual sum that reads it later would read the output instead.",
                (("a", "its stride is 2"), ("b", "its kernel is 7x7"), ("c", "a residual sum reads the input again later"),
                 ("d", "it has an odd number of channels")))


def ask_halo(rng: np.random.Generator) -> Item:
    rows, n = int(rng.choice([4, 6, 8])), int(rng.choice([2, 3]))
    right = rows + 2 * n
    return Item(f"A patch of {rows} rows comes out of {n} convolutions 3x3 with stride 1, away from the border. How many input rows does it need?",
                number(right, "Each layer adds one row above and one below."), f"{rows} + 2 * {n} = {right}.")


def ask_count(rng: np.random.Generator) -> Item:
    return Item("Two programs compute the same layer. One executes half as many instructions. What do you know about the time on a board?",
                letter("d", {"a": "Instructions differ: a load of several words, a branch and a division take several cycles.",
                             "b": "It is likely, but loads may be worse.", "c": "The emulator counts, it does not measure time."}),
                "A count is not a time. A cost table gives an estimate; only a board, with its flash and caches, gives a measurement.",
                (("a", "it is halved exactly"), ("b", "it falls, that is certain"), ("c", "the emulator's seconds tell"),
                 ("d", "it probably falls; how much must be measured on the board")))


def ask_codegen(rng: np.random.Generator) -> Item:
    return Item("Why does generated code beat an interpreter that computes the same with the same compiler?",
                letter("b", {"a": "Both compute exactly the same MACs.", "c": "Both keep their tensors in the same arena.",
                             "d": "The compiler and its flags are the same."}),
                "Sizes known beforehand let loops be written out, sums be kept in registers and tests of the border be dropped.",
                (("a", "it does fewer MACs"), ("b", "sizes are constants: loops are unrolled, values stay in registers, tests vanish"),
                 ("c", "it uses less memory"), ("d", "it is compiled with better flags")))
