"""Predictions, decision and quiz of the lab pruning."""

from tinylib.check.answers import letter, number
from tinylib.check.question import Item, Question
from tinylib.core.checkpoint import load_record


def ask_one_shot(rng):
    return Item("80 % of the weights are set to zero and nothing else is done. What accuracy in per cent is left of about 90 %?",
                number(0.0, "", 100.0), "Every layer hands its error to the next, so small damages add up to a large one.")


def ask_tuned(rng):
    return Item("Now the remaining 20 % are trained for three more epochs, the zeros kept. What accuracy in per cent comes back?",
                number(0.0, "", 100.0), "The remaining weights move a little and take over the work of those that are gone.")


def ask_speed(rng):
    return Item("With 80 % zeros, how many times faster does the network answer on this machine? (1 = no change)",
                number(1.0, "", 100.0), "A dense kernel multiplies by zero as fast as by any other number.")


def ask_kept(rng):
    c, k, s = int(rng.choice([24, 40, 56])), int(rng.choice([32, 72, 88])), float(rng.choice([0.85, 0.92, 0.97]))
    n = c * k * 9
    return Item(f"A 3x3 convolution has {c} input and {k} output channels, no bias. How many weights stay at a sparsity of {s}?",
                number(round((1 - s) * n), "Count the weights first: outputs x inputs x 9; then round((1 - sparsity) * n)."),
                f"n = {k} x {c} x 9 = {n:,}, and round({1 - s:.2f} x {n:,}) = {round((1 - s) * n):,}.")


def ask_bytes(rng):
    n, s = int(rng.choice([8000, 16000, 40000])), float(rng.choice([0.75, 0.9, 0.95]))
    kept = round((1 - s) * n)
    return Item(f"{n:,} float32 weights at sparsity {s} are stored as one mask bit for every weight and four bytes for each kept one. How many bytes?",
                number(kept * 4 + n // 8, "Two parts: 4 bytes for each kept weight, and n / 8 bytes of mask."),
                f"{kept:,} x 4 + {n:,} / 8 = {kept * 4 + n // 8:,} bytes, against {4 * n:,} dense.")


def ask_dense(rng):
    return Item(
        "90 % of a layer's weights are zero, and it runs no faster. Why?",
        letter("c", {"a": "The zeros are exact; float32 holds them without rounding. Look at what the kernel does with a zero.",
                     "b": "Multiplying by zero costs as much as multiplying by anything else, and that is the point.",
                     "d": "Memory traffic shrinks only if the zeros are not stored. Are they stored here?"}),
        "The dense kernel visits every position. Only a kernel made for sparse storage, or a smaller dense matrix, does less work.",
        (("a", "The zeros are not exact after rounding."), ("b", "Multiplying by zero is slower than skipping it, so the gain is lost."),
         ("c", "The dense kernel visits every weight, zero or not."), ("d", "Memory is the limit, and the zeros were taken out of memory.")))


def ask_block_macs(rng):
    c, k, side = int(rng.choice([16, 24, 32])), int(rng.choice([64, 96, 128])), int(rng.choice([7, 14]))
    kept = k * 3 // 4
    macs = side * side * (2 * c * kept + 9 * kept)
    return Item(f"An inverted residual works on {side}x{side} pixels: 1x1 from {c} to {k} channels, 3x3 depth-wise, 1x1 back to {c}. "
                f"You keep {kept} of the {k} inner channels. How many MACs does the block cost now (no biases)?",
                number(macs, "Three layers: c x k' for each 1x1 and 9 x k' for the depth-wise, all times the number of pixels."),
                f"{side * side} x ({c} x {kept} + 9 x {kept} + {kept} x {c}) = {macs:,}: this cut is linear in the kept channels.")


def ask_stage(rng):
    blocks = int(rng.integers(3, 9))
    return Item(f"A stage: one convolution makes 64 channels, then {blocks} residual blocks each add the output of their last convolution to that stream. "
                "You remove channel 5 of the stream. How many convolutions lose an output filter?",
                number(blocks + 1, "Everything that is added to the stream must lose channel 5: count who writes to it."),
                f"The first convolution and the last one of each block: {blocks} + 1 = {blocks + 1}.")


def fitting(rows, budget):
    """Rows of the sweep within the budget of MACs, as dense kernels run them."""
    return [row for row in rows if row["macs"] <= budget and row["kind"] in ("zeros", "2:4", "channels")]


def ask_decision(rng):
    budget = int(rng.choice([1_100_000, 1_300_000, 1_600_000]))

    def verify(value):
        rows = load_record("pruning-sweep")["rows"]
        if type(value) is not list or len(value) != 2:
            return 'Answer with a list of kind and setting, for instance ["zeros", 0.8].'
        chosen = next((r for r in rows if [r["kind"], r["setting"]] == value), None)
        if chosen is None:
            return "The sweep has no such row. Kinds are \"zeros\", \"2:4\" and \"channels\"; settings are in the table."
        if chosen["macs"] > budget:
            return f"That runs {chosen['macs']:,} MACs on a dense kernel; the budget is {budget:,}."
        best = max(row["tuned"] for row in fitting(rows, budget))
        return None if chosen["tuned"] > best - 0.003 else f"It fits, but another row fits too and is {100 * (best - chosen['tuned']):.1f} points better."

    return Item(f"The device has dense kernels only and {budget:,} MACs per image to spend. Which row of the sweep do you ship? "
                "Answer [kind, setting]; the best accuracy that fits wins (0.3 points are forgiven).",
                verify, "On a dense kernel only removed channels count. Zeros shrink the download, not the work.")


QUESTIONS = (
    Question("pruning.one_shot", "prediction", 1, ask_one_shot),
    Question("pruning.tuned", "prediction", 1, ask_tuned),
    Question("pruning.speed", "prediction", 1, ask_speed),
    Question("pruning.decide", "decision", 3, ask_decision),
    Question("pruning.quiz.1", "quiz", 1, ask_kept),
    Question("pruning.quiz.2", "quiz", 1, ask_bytes),
    Question("pruning.quiz.3", "quiz", 1, ask_dense),
    Question("pruning.quiz.4", "quiz", 1, ask_block_macs),
    Question("pruning.quiz.5", "quiz", 1, ask_stage),
)
