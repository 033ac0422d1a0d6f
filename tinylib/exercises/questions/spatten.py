"""Predictions, decision and quiz of the lab `spatten`."""

import numpy as np

from tinylib.check.answers import guess, letter, number
from tinylib.check.question import Item
from tinylib.text.spatten import counts

SHARES, BITS = (1.0, 0.7, 0.5, 0.35), (4, 6, 8)
LENGTH, LAYERS, DIM = 48, 4, 64         # the reader


def read_bytes(share: float, bits: int) -> int:
    """DRAM bytes of one passage: q, k, v and outputs of every living token, whole heads of 16 numbers."""
    return sum(4 * n * DIM * bits // 8 for n in counts(share, LENGTH, LAYERS))


def ask_factor(rng: np.random.Generator) -> Item:
    return Item("A plan prunes 30 % of the tokens by the last layer and fetches 6 bits instead of 32. How many times fewer bytes come from memory?", guess,
                "Bits alone give 32 / 6. Tokens leave step by step, so the pruned share counts about half.")


def ask_tokens(rng: np.random.Generator) -> Item:
    return Item("How many points of accuracy does that plan cost a reader of 48-word passages?", guess,
                "A short passage has few words to spare; long inputs have many.")


def ask_decide(rng: np.random.Generator) -> Item:
    share = float(rng.choice([0.7, 0.5]))
    budget = read_bytes(share, 6) + int(rng.integers(0, 200))

    def verify(value: object) -> str | None:
        if not isinstance(value, dict) or set(value) != {"tokens", "msb"}:
            return "Answer with a dictionary: {'tokens': ..., 'msb': ...}."
        if value["tokens"] not in SHARES or value["msb"] not in BITS:
            return f"Choose tokens from {SHARES} and msb from {BITS}."
        if value["msb"] == 4:
            return "Four bits are not allowed by the task: scores lose their order."
        cost = read_bytes(value["tokens"], value["msb"])
        if cost > budget:
            return f"That moves {cost:,} bytes, {cost - budget:,} over the budget."
        return None if (value["tokens"], value["msb"]) == (share, 6) else "A larger share of the tokens still fits."

    return Item(f"The reader (48 tokens, 4 layers, 64 features) may move {budget:,} bytes a passage. Choose the share of tokens kept in the last layer from "
                f"{SHARES} and the bits from {BITS}, at least 6 bits, so that as many tokens as possible stay.", verify,
                "Every living token moves four rows of 64 numbers a layer: query, key, value, output.")


def ask_keys(rng: np.random.Generator) -> Item:
    n, size, bits = int(rng.choice([40, 72, 96])), int(rng.choice([32, 64])), int(rng.choice([4, 6, 12]))
    return Item(f"How many bytes are the keys of one head: {n} keys of {size} numbers at {bits} bits?",
                number(n * size * bits // 8, "Numbers times bits, eight bits a byte."), "Rows times numbers times bits / 8.")


def ask_ties(rng: np.random.Generator) -> Item:
    return Item("A top-k engine keeps every token whose importance is at least the k-th largest. What goes wrong?",
                letter("b", {"a": "The k-th itself is kept.", "c": "No sort is needed to compare.", "d": "Order is kept: places are only marked."}),
                "With ties more than k reach the limit, and a buffer for k rows runs over.",
                (("a", "the k-th token is lost"), ("b", "with ties more than k tokens stay"), ("c", "it needs a full sort"),
                 ("d", "tokens change their order")))


def ask_bits(rng: np.random.Generator) -> Item:
    value, low = int(rng.integers(-120, -20)), int(rng.choice([2, 3, 4]))
    return Item(f"The 8-bit number {value} is split into high bits and {low} low bits (two's complement). Which number are the high bits alone, "
                "as a signed number?", number(value >> low, "Shift right: divide by a power of two and round down, also below zero."),
                "high = q >> low bits, which rounds down; the low bits are never negative.")


def ask_cascade(rng: np.random.Generator) -> Item:
    n = int(rng.choice([60, 90, 120]))
    return Item(f"Four layers, {n} tokens, half of them kept in the last layer, equal steps, all in the first. How many rows of keys does one head fetch "
                "in all layers together?", number(sum(counts(0.5, n, 4)), "n, then 5/6, 4/6 and 3/6 of n: add them."),
                "Even steps from n to n / 2 over four layers.")


def ask_generation(rng: np.random.Generator) -> Item:
    return Item("Why do fewer bytes speed up generation more than reading a whole passage?",
                letter("a", {"b": "Both use the same attention.", "c": "Generation has one query a step: it computes less.",
                             "d": "Weights are not counted in either."}),
                "One query uses each fetched key once. With many queries the same keys feed many MACs, and the multipliers are the limit.",
                (("a", "one query uses each key once: memory is the limit"), ("b", "it uses another attention"), ("c", "it does more MACs per byte"),
                 ("d", "it has smaller weights")))
