"""Verse pairs: 31 thousand verses in English and Spanish, for translation and language modelling.

Real text, both sides in the public domain. Lower case, without quotation marks, markup and footnotes; no chapter is in two parts.
"""

import functools
import re
import subprocess
import sys
import tempfile
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tinylib.core.errors import TinylibError
from tinylib.core.seed import rng
from tinylib.datasets.files import debian_package, load_set, save_set

LANGUAGES = ("english", "spanish")
PARTS = ("train", "val", "test")
GOSPELS = ("Matthew", "Mark", "Luke", "John")   # they tell the same stories: all of them are in the training part
HELD_OUT, RUN, REPEATED, SEED = 12, 8, 0.08, 1909
LONGEST = 80                                    # words of an English verse; longer ones are misprints or lists
MODULES = {"english": ("sword-text-web", "engWEB2015eb"), "spanish": ("sword-text-sparv", "spaRV1909eb")}
READER = "pysword==0.2.8"

Verse = tuple[str, int, int]                    # book, chapter, verse


@dataclass(frozen=True)
class Pairs:
    """`english[i]` and `spanish[i]` are one verse; `chapters` (n,) int64 counts the chapters of the whole book."""

    english: tuple[str, ...]
    spanish: tuple[str, ...]
    chapters: np.ndarray

    def __len__(self) -> int:
        return len(self.english)

    def pick(self, places) -> "Pairs":
        """The pairs at some places."""
        return Pairs(tuple(self.english[i] for i in places), tuple(self.spanish[i] for i in places), self.chapters[places])

    def take(self, n: int) -> "Pairs":
        """The first n, in the order of the book."""
        return self.pick(np.arange(min(n, len(self))))

    def short(self, most: int = 20) -> "Pairs":
        """Pairs of at most `most` words on both sides."""
        return self.pick(np.array([i for i, pair in enumerate(zip(self.english, self.spanish)) if max(map(count_words, pair)) <= most], int))

    def passages(self, language: str = "english") -> list[str]:
        """Each chapter as one text, its verses joined by spaces."""
        if language not in LANGUAGES:
            raise TinylibError(f"language must be one of {LANGUAGES}, got {language!r}")
        chapters: dict[int, list[str]] = {}
        for chapter, verse in zip(self.chapters.tolist(), getattr(self, language)):
            chapters.setdefault(chapter, []).append(verse)
        return [" ".join(verses) for verses in chapters.values()]


@dataclass(frozen=True)
class VersePairs:
    """Three parts, in the order of the book."""

    train: Pairs
    val: Pairs
    test: Pairs


@functools.cache
def load() -> VersePairs:
    """All pairs: about five sixths of the verses for training, a twelfth each for validation and test, split by chapter."""
    arrays, _ = load_set("verse_pairs")
    texts = [tuple(arrays[language].tobytes().decode().split("\n")) for language in LANGUAGES]
    whole = Pairs(*texts, arrays["chapter"].astype(np.int64))
    return VersePairs(*(whole.pick(np.flatnonzero(arrays["part"] == i)) for i in range(3)))


def count_words(text: str) -> int:
    """Words of a verse, marks not counted."""
    return len(re.findall(r"[^\W_]+(?:['-][^\W_]+)*", text))


def spaced(text: str) -> str:
    """Words and marks apart, one blank between them: "go, abel." -> "go , abel ." (what BLEU counts)."""
    return " ".join(re.findall(r"[^\W_]+(?:['-][^\W_]+)*|[^\w\s]", text))


# --- making -------------------------------------------------------------------------------------------------------------


def clean(markup: str) -> str:
    """Plain lower-case text of a verse with OSIS tags: words that markup kept apart stay apart; notes and headings go."""
    text = markup.split("<chapter eID")[0]                              # behind the last chapter stands a glossary
    text = re.sub(r"<(note|speaker)\b.*?</\1>|<title(?![^>]*canonical)[^>]*>.*?</title>", " ", text, flags=re.S)
    text = re.sub(r"</?(w|q|transChange|name|seg)\b[^>]*>", "", text)   # inside a line; every other tag ends one
    text = re.sub(r"<[^>]*>", " ", text).lower()
    text = re.sub(r"(?<=\w)[’'](?=\w)", "'", text)
    text = re.sub(r"[“”\"«»‘’]|(?<!\w)'|'(?!\w)", "", text)
    text = re.sub(r"\s*[—–]\s*", " - ", text)
    return re.sub(r"\s+", " ", re.sub(r"\s+(?=[,.;:?!])", "", text)).strip(" -")


def pairs_of(english: dict[Verse, str], spanish: dict[Verse, str]) -> list[tuple[Verse, str, str]]:
    """Verses with words on both sides, at most LONGEST English ones, in the order of the Spanish side."""
    both = [(verse, english.get(verse, ""), spanish[verse]) for verse in spanish]
    return [(verse, e, s) for verse, e, s in both if s and 0 < count_words(e) <= LONGEST]


def repeating(chapters: dict[tuple, str]) -> set[tuple]:
    """Chapters of whose runs of RUN words more than REPEATED also stand in another chapter (kings told twice, copied psalms)."""
    runs = {key: _runs(text) for key, text in chapters.items()}
    seen = Counter(run for own in runs.values() for run in own)
    return {key for key, own in runs.items() if own and sum(seen[r] > 1 for r in own) > REPEATED * len(own)}


def _runs(text: str) -> set[tuple[str, ...]]:
    words = re.findall(r"\w+", text)
    return {tuple(words[i:i + RUN]) for i in range(len(words) - RUN + 1)}


def parts_of(chapters: dict[tuple, str]) -> dict[tuple, int]:
    """0, 1 or 2 (an index into PARTS) for each (book, chapter); gospels and repeating chapters are 0."""
    kept = repeating(chapters)
    free = [key for key in chapters if key[0] not in GOSPELS and key not in kept]
    order = [free[i] for i in rng(SEED, "parts").permutation(len(free))]
    each = len(chapters) // HELD_OUT
    return {key: 0 for key in chapters} | {key: 1 for key in order[:each]} | {key: 2 for key in order[each:2 * each]}


_READ = """
import functools, json, sys
from pysword.modules import SwordModules
modules = SwordModules(sys.argv[1])
modules.parse_modules()
bible = modules.get_bible_from_module(sys.argv[2])
bible._decompressed_text = functools.lru_cache(4)(bible._decompressed_text)     # a book is one block: unpack it once
for books in bible.get_structure().get_books().values():
    for book in books:
        for chapter, length in enumerate(book.chapter_lengths, 1):
            for verse in range(1, length + 1):
                print(json.dumps([book.name, chapter, verse, bible.get(book.name, chapter, verse, clean=False)]))
"""


def read_module(package: str, module: str, folder: Path) -> dict[Verse, str]:
    """Clean verses of a Debian package's SWORD module, read by pysword in a process of its own."""
    import json

    tree, library = debian_package(package, folder), folder / "reader"
    commands = [[sys.executable, "-m", "pip", "install", "--quiet", "--no-deps", "--target", str(library), READER],
                [sys.executable, "-c", f"import sys; sys.path.insert(0, {str(library)!r})\n{_READ}", str(tree / "usr/share/sword"), module]]
    try:
        lines = [subprocess.run(command, check=True, capture_output=True, text=True).stdout for command in commands][1].splitlines()
    except (OSError, subprocess.CalledProcessError) as error:
        raise TinylibError(f"reading {module} failed: {(getattr(error, 'stderr', '') or str(error))[-300:]}. It needs pip and a network.") from error
    return {(book, chapter, verse): clean(text) for book, chapter, verse, text in map(json.loads, lines)}


def make() -> Path:
    """Remake `data/sets/verse_pairs.npz` from two Debian packages (about 15 seconds)."""
    with tempfile.TemporaryDirectory() as name:
        english, spanish = (read_module(*MODULES[language], Path(name)) for language in LANGUAGES)
    pairs = pairs_of(english, spanish)
    chapters: dict[tuple, str] = {}
    for (book, chapter, _), text, _ in pairs:
        chapters[book, chapter] = f"{chapters.get((book, chapter), '')} {text}"
    part, number = parts_of(chapters), {key: i for i, key in enumerate(chapters)}
    places = [(book, chapter) for (book, chapter, _), _, _ in pairs]
    texts = {language: np.frombuffer("\n".join(p[1 + i] for p in pairs).encode(), np.uint8) for i, language in enumerate(LANGUAGES)}
    return save_set(
        "verse_pairs",
        {**texts, "chapter": np.array([number[p] for p in places], np.uint16), "part": np.array([part[p] for p in places], np.uint8),
         "names": np.array([f"{book} {chapter}" for book, chapter in chapters])},
        title="Verse pairs, English and Spanish", source="Debian packages sword-text-web 426.0-1 and sword-text-sparv 2.60-1", licence="public domain",
        attribution="English: made from the public-domain text of eBible.org, changed, so it bears no other name than 'verses'; "
                    "Spanish: Reina and Valera, 1909, changed likewise",
        kind="real", made="lower case, no quotation marks, notes, headings or glossary; pairs by book, chapter and verse; split by chapter, gospels and "
                          "chapters that repeat others in the training part")
