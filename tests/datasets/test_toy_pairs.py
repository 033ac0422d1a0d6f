"""Toy pairs: the translator reads text, the test's own translator walks the tree; both must agree."""

import pytest

from tinylib.core.errors import TinylibError
from tinylib.core.seed import rng
from tinylib.datasets import toy_pairs as toy
from tinylib.datasets.toy_pairs import ADJECTIVES, NOUNS, VERBS, Phrase, Sentence


def slow(sentence: Sentence) -> str:
    """Rules 1 to 5 of the module, from the tree and not from the text."""
    def ending(p):
        return NOUNS[p.noun][-1] + ("s" if p.plural else "")

    def noun(p):
        text = f"l{ending(p)} {NOUNS[p.noun]}{'s' if p.plural else ''}"
        text += f" de {NOUNS[p.first]}" if p.first else ""
        text += f" {ADJECTIVES[p.adjective]}{ending(p)}" if p.adjective else ""
        return text + (f" ke {noun(p.that[1])} {verb(p.that[0], p)}" if p.that else "")

    def verb(word, subject):
        return VERBS[word] + ("an" if subject.plural else "a")

    text = f"{noun(sentence.subject)} {noun(sentence.object)} {verb(sentence.verb, sentence.subject)}"
    return ("ne " if sentence.negative else "") + text + (" ka ?" if sentence.question else " .")


def test_by_hand():
    boat, dogs = Phrase("boat", False, first="river"), Phrase("dog", True, "old", that=("see", Phrase("cat", False)))
    sentence = Sentence(dogs, "carry", boat, question=True, negative=True)
    assert toy.english(sentence) == "do the old dogs that see the cat not carry the riverboat ?"
    assert toy.translate(toy.english(sentence)) == "ne los kanos vetos ke la mita vidan lo navo de ruva portan ka ?"
    assert toy.english(Sentence(boat, "carry", Phrase("fish", True))) == "the riverboat carries the fishes ."


def test_text_and_tree_agree():
    generator = rng(3, "toy")
    for _ in range(2000):
        sentence = toy.sample(generator)
        assert toy.translate(toy.english(sentence)) == slow(sentence)


def test_the_agreement_is_long_range(monkeypatch):
    """A translator that lets the verb agree with the nearest noun is caught."""
    sentence = Sentence(Phrase("dog", True, that=("see", Phrase("cat", False))), "love", Phrase("king", False))
    assert toy.translate(toy.english(sentence)).split()[-2] == "aman"
    monkeypatch.setattr(toy, "_verb", lambda word, plural: VERBS[word.rstrip("s")] + "a")
    assert toy.translate(toy.english(sentence)) != slow(sentence)


@pytest.mark.parametrize("text", ["", "the", "a dog sees the cat .", "the dog sees the cat", "the dog sees the cat ?", "the dog flies the cat ."])
def test_other_text_is_refused(text):
    with pytest.raises(TinylibError, match="toy grammar"):
        toy.translate(text)


def test_parts_are_disjoint_and_repeatable():
    parts, again = toy.load(train=500, val=50, test=50), toy.load(train=500, val=50, test=50)
    assert parts == again and [len(parts[p]) for p in toy.PARTS] == [500, 50, 50]
    assert len({s for p in parts.values() for s in p.source}) == 600
