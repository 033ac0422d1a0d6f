"""Verse pairs: cleaning, pairing, splitting by chapter, and what ships."""

import re
from collections import Counter

import numpy as np
import pytest

from tinylib.core.errors import TinylibError
from tinylib.core.seed import rng
from tinylib.datasets import verse_pairs as vp


def test_markup_goes_and_words_stay_apart():
    marked = ('<title canonical="true">A Psalm.</title><w lemma="x">God</w><note placement="foot">Hebrew: <w>El</w></note><w>made</w> '
              '<q who="x">“the <w>king’s</w></q><l eID="1"/><l sID="2"/>'
              'light,” — <w>‘day’</w> ,<title>Heading</title><speaker>Friends</speaker>go<chapter eID="1"/>Glossary <w>Abba</w>')
    assert vp.clean(marked) == "a psalm. god made the king's light, - day, go"
    assert vp.clean("¿Quién eres, <w>á Él</w>?") == "¿quién eres, á él?"


def test_pairs_have_both_sides_and_no_glossary():
    key = [("Mark", 1, i) for i in range(4)]
    english = {key[0]: "a b", key[1]: "", key[2]: "word " * 81}
    spanish = dict.fromkeys(key, "x")
    assert vp.pairs_of(english, spanish) == [(key[0], "a b", "x")]
    assert vp.count_words("the king's sea-side, 12 men: ¿él?") == 6


def test_spaced_keeps_every_word_and_mark():
    assert vp.spaced("¿quién, abel's sea-side?  (1909)") == "¿ quién , abel's sea-side ? ( 1909 )"
    part = vp.load().val
    assert all(vp.spaced(text).replace(" ", "") == text.replace(" ", "") for text in (*part.english, *part.spanish))


def slow_repeating(chapters):
    """Every run of RUN words looked up in every other chapter."""
    kept = set()
    for key, text in chapters.items():
        words = re.findall(r"\w+", text)
        runs = {" ".join(words[i:i + vp.RUN]) for i in range(len(words) - vp.RUN + 1)}
        others = [" " + " ".join(re.findall(r"\w+", t)) + " " for k, t in chapters.items() if k != key]
        if runs and sum(any(f" {run} " in other for other in others) for run in runs) > vp.REPEATED * len(runs):
            kept.add(key)
    return kept


def test_chapters_that_repeat_others_are_found():
    generator = rng(1, "chapters")
    chapters = {("b", i): " ".join(f"w{w}" for w in generator.integers(0, 400, 60)) for i in range(12)}
    chapters["b", 3] += " " + chapters["b", 7][:80]
    chapters["b", 9] = " ".join(chapters["b", 2].split()[:10] + chapters["b", 9].split() * 3)
    assert vp.repeating(chapters) == slow_repeating(chapters) and ("b", 3) in vp.repeating(chapters)
    assert vp.repeating({("b", 0): "short"}) == set()


def test_parts_keep_gospels_and_copies_for_training():
    text = {("Job", i): " ".join(f"{i}x{j}" for j in range(30)) for i in range(50)} | {("Mark", i): f"{i} m" for i in range(10)}
    text["Job", 3] = text["Job", 4]
    parts = vp.parts_of(text)
    assert Counter(parts.values()) == {0: 50, 1: 5, 2: 5} and set(parts) == set(text)
    assert {parts[key] for key in text if key[0] == "Mark" or key in (("Job", 3), ("Job", 4))} == {0}


def test_what_ships():
    data = vp.load()
    parts = (data.train, data.val, data.test)
    assert [len(p) for p in parts] == [26363, 2313, 2398] and [len(p.short()) for p in parts] == [10624, 969, 931]
    chapters = [set(p.chapters.tolist()) for p in parts]
    assert not (chapters[0] & chapters[1] or chapters[0] & chapters[2] or chapters[1] & chapters[2])
    assert data.train.spanish[-1] == "la gracia de nuestro señor jesucristo sea con todos vosotros. amén."
    everything = [text for p in parts for text in (*p.english, *p.spanish)]
    assert all(text and text == text.strip().lower() and not re.search(r"[<>“”\"\n]|\s\s", text) for text in everything)
    lengths = np.array([[vp.count_words(e), vp.count_words(s)] for p in parts for e, s in zip(p.english, p.spanish)])
    assert np.corrcoef(lengths.T)[0, 1] > 0.9 and lengths[:, 0].max() <= vp.LONGEST


def test_little_of_the_test_stands_in_the_training():
    """Formulae repeat; whole passages must not: under two in a hundred runs of eight words."""
    data = vp.load()
    known = set().union(*(vp._runs(text) for text in data.train.passages()))
    for part in (data.val, data.test):
        runs = [vp._runs(text) for text in part.passages()]
        assert sum(len(r & known) for r in runs) < 0.02 * sum(map(len, runs))


def test_passages_are_whole_chapters():
    part = vp.load().test.take(40)
    texts = part.passages("spanish")
    assert len(texts) == len(set(part.chapters.tolist())) and " ".join(texts) == " ".join(part.spanish)
    with pytest.raises(TinylibError, match="language"):
        part.passages("latin")


def test_the_name_of_the_source_is_not_used():
    """A changed text must not bear the source's trademark."""
    from tinylib.datasets.files import load_set
    assert "world english" not in str(load_set("verse_pairs")[1]).lower()
