"""BLEU against sacrebleu, the field's common measure."""

import random

import pytest
import sacrebleu

from tinylib.core.errors import TinylibError
from tinylib.text.bleu import bleu, runs


def theirs(translations, references):
    return sacrebleu.corpus_bleu(translations, [references], tokenize="none", force=True).score


def corpus(seed):
    """Random sentences and damaged copies of them; from nearly equal to nothing in common, some empty."""
    draw = random.Random(seed)
    references = [" ".join(draw.choices("abcdefgh", k=draw.randint(0, 12))) for _ in range(draw.randint(1, 6))]
    damage = draw.choice((0.0, 0.1, 0.4, 0.9))
    ours = [" ".join(w if draw.random() > damage else draw.choice("abcxyz") for w in r.split() if draw.random() > damage / 3) for r in references]
    return ours, references


@pytest.mark.parametrize("seed", range(60))
def test_bleu_equals_sacrebleu(seed):
    ours, references = corpus(seed)
    assert bleu(ours, references) == pytest.approx(theirs(ours, references), abs=1e-9)


CASES = {"equal": (["a b c d e"], ["a b c d e"]), "short": (["a b c d"], ["a b c d e f g"]), "long": (["a b c d e f g"], ["a b c d"]),
         "repeated word": (["the the the the the the"], ["the cat is on the mat"]), "one order missing": (["a b c x d e f"], ["a b c y d e f"]),
         "two orders missing": (["a b x c d x"], ["a b y c d y"]), "three words": (["a b c"], ["a b c"]), "nothing": (["x y z w"], ["a b c d"]),
         "empty": ([""], ["a b c d"]), "both empty": ([""], [""]), "case and stops": (["The end ."], ["the end."])}


@pytest.mark.parametrize("case", CASES)
def test_hard_cases(case):
    assert bleu(*CASES[case]) == pytest.approx(theirs(*CASES[case]), abs=1e-9)


def test_the_measure_sees_planted_bugs():
    ours, references = [s for seed in range(8) for s in corpus(seed)[0]], [s for seed in range(8) for s in corpus(seed)[1]]
    right = theirs(ours, references)
    mean = sum(theirs([o], [r]) for o, r in zip(ours, references)) / len(ours)
    assert abs(mean - right) > 0.5, "a mean over sentences is not the corpus measure"
    assert abs(theirs(references, ours) - right) > 0.05, "swapped arguments"
    assert runs("a b a b".split(), 2) == {("a", "b"): 2, ("b", "a"): 1}


def test_mistakes_are_named():
    for pair in ((["a"], []), ([], [])):
        with pytest.raises(TinylibError):
            bleu(*pair)
