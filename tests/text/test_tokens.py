"""Byte pairs against a merge-by-merge oracle, round trips of any text, saving, padding, and bits per character."""

import json
import math
import subprocess
import sys
from collections import Counter

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tinylib.core.errors import TinylibError
from tinylib.text.tokens import BEGIN, END, PAD, SPECIAL, bits_per_character, load_tokens, padded, train_tokens

TEXTS = ["in the beginning was the word", "and the word was with the other word", "the wording of the beginning"] * 3


def merges_by_loops(texts, how_many):
    """Byte-pair encoding by hand: count neighbouring pieces inside blank-led words, join the most frequent pair, again."""
    words = Counter()
    for text in texts:
        for i, word in enumerate(text.split(" ")):
            words[tuple(("Ġ" if i else "") + word)] += 1
    merges = []
    for _ in range(how_many):
        pairs = Counter()
        for word, count in words.items():
            for pair in zip(word, word[1:]):
                pairs[pair] += count
        best = max(pairs.values())
        merges.append({pair for pair, count in pairs.items() if count == best})
        if len(merges[-1]) > 1:
            break
        (pair,), joined = merges[-1], Counter()
        for word, count in words.items():
            new, i = [], 0
            while i < len(word):
                step = 2 if word[i:i + 2] == pair else 1
                new.append("".join(word[i:i + step]))
                i += step
            joined[tuple(new)] += count
        words = joined
    return merges


def test_merges_are_the_most_frequent_pairs():
    texts = ["abcd " * 5 + "abc " * 3 + "abc", "abc ab ab ab xcd xcd"]
    expected = merges_by_loops(texts, 5)
    found = [tuple(pair) for pair in json.loads(train_tokens(texts, 264).tokenizer.to_str())["model"]["merges"]]
    assert len(found) == 5 and len(expected) >= 4 and all(pair in ties for pair, ties in zip(found, expected))
    assert not all(pair in ties for pair, ties in zip(found[::-1], expected)), "another order is seen"


@settings(max_examples=60, deadline=None)
@given(st.text())
def test_any_text_comes_back(text):
    tokens = test_any_text_comes_back.tokens
    numbers = tokens.encode(text, ends=True)
    assert tokens.decode(numbers) == text and numbers[0] == BEGIN and numbers[-1] == END
    assert all(len(SPECIAL) <= n < len(tokens) for n in numbers[1:-1])


test_any_text_comes_back.tokens = train_tokens(TEXTS, 300)


def test_names_of_special_tokens_are_plain_text():
    tokens = train_tokens(TEXTS, 300)
    for text in (*SPECIAL, "".join(SPECIAL), " the [end]"):
        assert not {PAD, BEGIN, END} & set(tokens.encode(text)) and tokens.decode(tokens.encode(text)) == text
    assert tokens.decode([BEGIN, *tokens.encode("word"), END, PAD, PAD]) == "word"
    assert [tokens.piece(i) for i in range(3)] == list(SPECIAL) and tokens.piece(tokens.encode(" the")[0]) == " the"


def test_a_vocabulary_is_the_same_again_and_after_saving(tmp_path):
    one, two = train_tokens(TEXTS, 280), train_tokens(iter(TEXTS), 280)
    assert len(one) == 280 and one.tokenizer.to_str() == two.tokenizer.to_str()
    one.save(tmp_path / "a.json")
    again = load_tokens(tmp_path / "a.json")
    again.save(tmp_path / "b.json")
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes() and json.loads((tmp_path / "a.json").read_text())
    assert again.encode("the word was") == one.encode("the word was") and len(again) == 280
    assert len(one.encode("the beginning")) < len(train_tokens(TEXTS, 259).encode("the beginning")) == 13


def test_training_uses_no_thread_that_a_fork_would_complain_about():
    code = ("import os; from tinylib.text.tokens import train_tokens; before = dict(os.environ); t = train_tokens(['a b c'] * 50, 260);"
            "assert dict(os.environ) == before; pid = os.fork(); t.encode('a b'); pid and os.waitpid(pid, 0)")
    done = subprocess.run([sys.executable, "-W", "error", "-c", code], capture_output=True, text=True)
    assert done.returncode == 0 and done.stderr == "" and done.stdout == ""


def test_padding():
    assert padded([[5, 6, 7], [], [8]]).tolist() == [[5, 6, 7], [PAD] * 3, [8, PAD, PAD]]
    assert padded([]).shape == (0, 0) and padded([[]]).shape == (1, 0) and padded([[4]]).dtype == torch.int64


def test_bits_per_character():
    uniform = torch.full((6,), -math.log(8))
    assert bits_per_character(uniform, 9) == pytest.approx(6 * 3 / 9, rel=1e-7)
    drawn = torch.randn(5, 7, generator=torch.Generator().manual_seed(0), dtype=torch.float64).log_softmax(1)[:, 0]
    by_hand = sum(math.log2(1 / math.exp(p)) for p in drawn.tolist()) / 11
    assert bits_per_character(drawn, 11) == pytest.approx(by_hand, rel=1e-12)
    assert abs(bits_per_character(drawn, 5) - by_hand) > 0.1, "bits of a token are not bits of a character"


def test_mistakes_are_named(tmp_path):
    (tmp_path / "bad.json").write_text("{}")
    for call in (lambda: train_tokens(TEXTS, 200), lambda: load_tokens(tmp_path / "none.json"), lambda: load_tokens(tmp_path / "bad.json"),
                 lambda: bits_per_character(torch.zeros(1), 0)):
        with pytest.raises(TinylibError):
            call()
