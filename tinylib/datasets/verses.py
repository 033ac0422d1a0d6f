"""Verses: passages of 47 words from the King James Bible (1611), labelled with the kind of book they come from.

Real text. Words are lower case without punctuation; only the 2,000 most frequent have a number. No chapter is in two parts.
"""

import re
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tinylib.core.errors import TinylibError
from tinylib.core.seed import rng
from tinylib.datasets.files import _run, debian_package, load_set, save_set

CLASSES = ("law", "history", "poetry", "prophets", "gospels", "letters")
SIZES = (5, 12, 5, 17, 5, 22)                   # books of each class, in the order of the Bible
WORDS, LENGTH, SEED = 2000, 47, 1611
PAD, CLS, OTHER = 0, 1, 2                       # numbers below the words'
PARTS = ("train", "val", "test")


@dataclass(frozen=True)
class Passages:
    """`tokens` (n, 48) int64, the first of each row is CLS; `labels` (n,) int64, index into CLASSES."""

    tokens: np.ndarray
    labels: np.ndarray

    def __len__(self) -> int:
        return len(self.labels)

    def take(self, n: int) -> "Passages":
        """The first n (the shipped order is shuffled, so this is a fair sample)."""
        return Passages(self.tokens[:n], self.labels[:n])

    def tensors(self):
        """(tokens, labels) as int64 torch tensors."""
        import torch

        return torch.from_numpy(self.tokens), torch.from_numpy(self.labels)


@dataclass(frozen=True)
class Verses:
    """Three parts, the vocabulary (number -> word) and the names of the classes."""

    train: Passages
    val: Passages
    test: Passages
    words: tuple[str, ...]
    classes: tuple[str, ...] = CLASSES

    def text(self, tokens) -> list[str]:
        """The words of one row of tokens."""
        return [self.words[int(t)] for t in tokens]


def load() -> Verses:
    """All passages, split by chapter: three quarters for training, an eighth each for validation and test."""
    a, _ = load_set("verses")
    first = np.full((len(a["labels"]), 1), CLS, np.int64)
    tokens, labels = np.concatenate([first, a["tokens"].astype(np.int64)], axis=1), a["labels"].astype(np.int64)
    parts = [Passages(tokens[a["part"] == i], labels[a["part"] == i]) for i in range(3)]
    return Verses(*parts, tuple(str(w) for w in a["words"]))


def parse(lines: list[str]) -> list[tuple[str, list[str]]]:
    """(book and chapter, words) of each line such as "Ge1:1 In the beginning"; TinylibError for any other line."""
    found = []
    for line in lines:
        match = re.match(r"(\d?[A-Za-z]+\d+):\d+ (.*)", line)
        if not match:
            raise TinylibError(f"not a verse: {line[:60]!r}")
        found.append((match[1], re.findall(r"[a-z]+(?:'[a-z]+)?", match[2].lower())))
    return found


def passages(verses: list[tuple[str, list[str]]]) -> list[tuple[str, list[str]]]:
    """The words of each chapter cut into runs of LENGTH; the rest of a chapter is left out."""
    chapters: dict[str, list[str]] = {}
    for chapter, words in verses:
        chapters.setdefault(chapter, []).extend(words)
    return [(c, w[i:i + LENGTH]) for c, w in chapters.items() for i in range(0, len(w) - LENGTH + 1, LENGTH)]


def make() -> Path:
    """Remake `data/sets/verses.npz` from the Debian packages bible-kjv (the reader) and bible-kjv-text (the text)."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        reader, text = (debian_package(p, folder) for p in ("bible-kjv", "bible-kjv-text"))
        lines = _run([str(reader / "usr/bin/bible"), "-f", "-p", str(text / "usr/lib"), "ge1:1-rev22:21"], folder).splitlines()
    verses = parse([line for line in lines if line])
    cut = passages(verses)
    counts: dict[str, int] = {}
    for _, words in verses:
        for word in words:
            counts[word] = counts.get(word, 0) + 1
    names = ["[pad]", "[cls]", "[other]", *sorted(counts, key=lambda w: (-counts[w], w))[:WORDS]]
    number = {word: i for i, word in enumerate(names)}
    books = list(dict.fromkeys(re.match(r"\d?[A-Za-z]+", c)[0] for c, _ in cut))
    kind = dict(zip(books, np.repeat(np.arange(len(CLASSES)), SIZES)))
    chapters = list(dict.fromkeys(c for c, _ in cut))
    part = dict(zip(rng(SEED, "parts").permutation(chapters).tolist(), np.arange(len(chapters)) * 8 // len(chapters)))
    order = rng(SEED, "order").permutation(len(cut))
    return save_set(
        "verses",
        {"tokens": np.array([[number.get(w, OTHER) for w in cut[i][1]] for i in order], np.uint16),
         "labels": np.array([kind[re.match(r"\d?[A-Za-z]+", cut[i][0])[0]] for i in order], np.uint8),
         "part": np.array([max(0, part[cut[i][0]] - 5) for i in order], np.uint8), "words": np.array(names)},
        title="Passages of the King James Bible", source="Debian packages bible-kjv 4.38 and bible-kjv-text 4.38",
        licence="public domain", attribution="King James Version, 1611; digital text of the Bible Retrieval System by Chip Chapin, 1989", kind="real",
        made="words in lower case, runs of 47 words inside a chapter, 2,000 most frequent words numbered; split by chapter")
