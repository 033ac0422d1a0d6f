"""BLEU: how many runs of one to four words of a translation stand in the reference too (Papineni et al., ACL 2002)."""

import math
from collections import Counter
from collections.abc import Sequence

from tinylib.core.errors import TinylibError

ORDERS = 4


def bleu(translations: Sequence[str], references: Sequence[str]) -> float:
    """BLEU-4 of a whole corpus in [0, 100], one reference for each translation, words split at blanks, nothing else done to them.

    Geometric mean of the four shares of matching runs (each counted at most as often as in its reference), times exp(1 - r / c)
    when the translations (c words in all) are shorter than the references (r words). An order without a match counts as 1/2, then
    1/4, ... of a match. Equals sacrebleu with tokenize="none".
    """
    if len(translations) != len(references) or not translations:
        raise TinylibError(f"{len(translations)} translations and {len(references)} references; BLEU needs pairs")
    matches, totals, c, r = [0] * ORDERS, [0] * ORDERS, 0, 0
    for ours, theirs in zip((t.split() for t in translations), (t.split() for t in references)):
        c, r = c + len(ours), r + len(theirs)
        for n in range(ORDERS):
            mine, wanted = runs(ours, n + 1), runs(theirs, n + 1)
            matches[n] += (mine & wanted).total()
            totals[n] += mine.total()
    if not any(matches) or not all(totals):
        return 0.0
    logs, halves = 0.0, 1
    for match, total in zip(matches, totals):
        halves *= 1 if match else 2
        logs += math.log((match or 1 / halves) / total)
    return 100 * math.exp(logs / ORDERS + min(0.0, 1 - r / c))


def runs(words: list[str], n: int) -> Counter:
    """Every run of n words, counted."""
    return Counter(tuple(words[i:i + n]) for i in range(len(words) - n + 1))
