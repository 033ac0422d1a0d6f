"""Toy pairs: sentences of simple English and their translation into an invented language, by rules that are written down here.

Synthetic. Nobody speaks the target language; it exists so that every translation has exactly one right answer:
1. verb last: subject, object, verb;
2. articles and adjectives (behind their noun) take the noun's ending: -o or -a by gender, -os or -as in the plural;
3. a compound is split and turned: "riverboat" becomes "boat of river";
4. the verb ends in -an when its subject is plural, however far away the subject stands;
5. "does" or "do" at the front becomes "ka" at the very end; "not" becomes "ne" at the very front.
"""

from dataclasses import dataclass

import numpy as np

from tinylib.core.errors import TinylibError
from tinylib.core.seed import rng as named_rng

NOUNS = {"dog": "kano", "cat": "mita", "boat": "navo", "river": "ruva", "house": "domo", "bird": "pira", "horse": "keso", "stone": "lita",
         "tree": "arbo", "fire": "flama", "king": "rego", "fish": "pesa"}
ADJECTIVES = {"old": "vet", "small": "min", "red": "rub", "quiet": "sil", "tall": "alt", "kind": "bon"}
VERBS = {"see": "vid", "love": "am", "carry": "port", "hear": "aud", "find": "trov", "follow": "sek"}
PARTS = ("train", "val", "test")


@dataclass(frozen=True)
class Phrase:
    """A noun with its article; `first` makes it a compound; `that` = (verb, object) is a relative clause."""

    noun: str
    plural: bool
    adjective: str = ""
    first: str = ""
    that: "tuple[str, Phrase] | None" = None


@dataclass(frozen=True)
class Sentence:
    subject: Phrase
    verb: str
    object: Phrase
    question: bool = False
    negative: bool = False


@dataclass(frozen=True)
class ToyPairs:
    """`source[i]` and its one right translation `target[i]`; words are separated by spaces."""

    source: tuple[str, ...]
    target: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.source)


# --- English ------------------------------------------------------------------------------------------------------------


def english(sentence: Sentence) -> str:
    """The sentence in English."""
    plural = sentence.subject.plural
    helped = sentence.question or sentence.negative
    does, no, subject = "do" if plural else "does", ["not"] * sentence.negative, _phrase(sentence.subject)
    verb = sentence.verb if helped or plural else _third(sentence.verb)
    middle = [does, *subject, *no] if sentence.question else [*subject, *([does, *no] if helped else [])]
    return " ".join([*middle, verb, *_phrase(sentence.object), "?" if sentence.question else "."])


def _phrase(p: Phrase) -> list[str]:
    words = ["the", *([p.adjective] if p.adjective else []), p.first + _plural(p.noun, p.plural)]
    return words + (["that", p.that[0] if p.plural else _third(p.that[0]), *_phrase(p.that[1])] if p.that else [])


def _plural(noun: str, plural: bool) -> str:
    return noun + ("es" if noun.endswith("sh") else "s") * plural


def _third(verb: str) -> str:
    return verb[:-1] + "ies" if verb.endswith("ry") else verb + "s"


# --- the invented language ----------------------------------------------------------------------------------------------


def translate(text: str) -> str:
    """The one right translation of an English sentence of this grammar; TinylibError for any other text."""
    words = text.split()
    try:
        if question := words[0] in ("do", "does"):
            words.pop(0)
        subject, plural, words = _noun_phrase(words)
        if not question and words[0] in ("do", "does"):
            words = words[1:]
        if negative := words[0] == "not":
            words = words[1:]
        verb, (thing, _, rest) = _verb(words[0], plural), _noun_phrase(words[1:])
        if rest != ["?" if question else "."]:
            raise KeyError(rest)
    except (KeyError, IndexError, ValueError) as error:
        raise TinylibError(f"not a sentence of the toy grammar: {text[:80]!r}") from error
    return " ".join(["ne"] * negative + subject + thing + [verb] + ["ka"] * question + rest)


def _noun_phrase(words: list[str]) -> tuple[list[str], bool, list[str]]:
    """(translation, plural?, words left) of the noun phrase at the front."""
    if words[0] != "the":
        raise KeyError(words[0])
    adjective, words = (ADJECTIVES[words[1]], words[2:]) if words[1] in ADJECTIVES else ("", words[1:])
    first, noun, plural = _split(words[0])
    ending = NOUNS[noun][-1] + "s" * plural
    out = ["l" + ending, NOUNS[noun] + "s" * plural, *(["de", NOUNS[first]] if first else []), *([adjective + ending] if adjective else [])]
    if words[1] != "that":
        return out, plural, words[1:]
    thing, _, rest = _noun_phrase(words[3:])
    return [*out, "ke", *thing, _verb(words[2], plural)], plural, rest


def _split(word: str) -> tuple[str, str, bool]:
    """(first noun of a compound or "", noun, plural?)."""
    for first in ("", *NOUNS):
        for plural in (False, True):
            for noun in NOUNS:
                if word == first + _plural(noun, plural):
                    return first, noun, plural
    raise KeyError(word)


def _verb(word: str, plural: bool) -> str:
    stems = {form: stem for verb, stem in VERBS.items() for form in (verb, _third(verb))}
    return stems[word] + ("an" if plural else "a")


# --- sampling -----------------------------------------------------------------------------------------------------------


def sample(rng: np.random.Generator) -> Sentence:
    """A random sentence: a third with a relative clause, a quarter questions, a quarter negative."""
    def phrase(clause: float) -> Phrase:
        noun, first = (str(n) for n in rng.choice(list(NOUNS), 2, replace=False))
        that = (str(rng.choice(list(VERBS))), phrase(0)) if rng.random() < clause else None
        adjective = str(rng.choice(list(ADJECTIVES))) if rng.random() < 0.4 else ""
        return Phrase(noun, bool(rng.random() < 0.5), adjective, first if rng.random() < 0.25 else "", that)

    question, negative = (bool(rng.random() < 0.25) for _ in range(2))
    return Sentence(phrase(1 / 3), str(rng.choice(list(VERBS))), phrase(0), question, negative)


def load(*, train: int = 4000, val: int = 300, test: int = 300, seed: int = 0) -> dict[str, ToyPairs]:
    """"train", "val" and "test" -> pairs; no English sentence stands twice."""
    rng, wanted, seen = named_rng(seed, "toy pairs"), train + val + test, {}
    while len(seen) < wanted:
        seen.setdefault(english(sample(rng)))
    texts, ends = list(seen), np.cumsum([0, train, val, test])
    parts = [tuple(texts[a:b]) for a, b in zip(ends, ends[1:])]
    return {name: ToyPairs(part, tuple(map(translate, part))) for name, part in zip(PARTS, parts)}
