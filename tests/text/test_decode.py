"""Beam search against every possible sentence, width 1 against greedy, planted bugs in the state; drawing by the model's probabilities."""

import itertools
import math
from dataclasses import replace

import pytest
import torch

from tinylib.core.errors import TinylibError
from tinylib.text.decode import beam_search, greedy, sample
from tinylib.text.lite_transformer import Config, build

BEGIN, END, WORDS = 1, 2, 5


class Table:
    """A model of drawn logits that depend on the sentence's number and on all of its past; the state is that past."""

    def __init__(self, sentences, seed, sharpness=1.0):
        self.seed, self.sharpness, self.past, self.calls = seed, sharpness, [(i,) for i in range(sentences)], 0

    def logits(self, past):
        draw = torch.Generator().manual_seed(hash((self.seed, *past)) % 2**31)
        return torch.randn(WORDS, generator=draw, dtype=torch.float64) * self.sharpness

    def step(self, tokens, state):
        assert len(tokens) == len(self.past)
        self.calls += 1
        self.past = [(*past, int(token)) for past, token in zip(self.past, tokens)]
        return torch.stack([self.logits(past) for past in self.past])

    def reorder(self, index):
        self.past = [self.past[i] for i in index.tolist()]


class Forgetful(Table):
    """Planted bug: makes room for the beams and then never follows them."""

    def reorder(self, index):
        if len(index) != len(self.past):
            super().reorder(index)


def exhaustive(table, sentence, length, alpha):
    """Score of every sentence of at most `length` tokens that ends with END: best first."""
    found = []
    for n in range(length):
        for words in itertools.product([w for w in range(WORDS) if w != END], repeat=n):
            past, total = (sentence, BEGIN), 0.0
            for word in (*words, END):
                total += table.logits(past).log_softmax(-1)[word].item()
                past = (*past, word)
            found.append((total / (n + 1) ** alpha, words))
    return sorted(found, reverse=True)


def search(model, **options):
    return beam_search(model.step, model, **{"sentences": 3, "begin": BEGIN, "end": END, "length": 4, **options})


@pytest.mark.parametrize("alpha", [0.0, 0.6, 1.0, 2.0])
@pytest.mark.parametrize("seed", range(4))
def test_a_beam_wide_enough_finds_the_best_of_all_sentences(seed, alpha):
    found = search(Table(3, seed), width=4**3, alpha=alpha)
    for i, hypothesis in enumerate(found):
        score, words = exhaustive(Table(3, seed), i, 4, alpha)[0]
        assert hypothesis.tokens == words and math.isclose(hypothesis.score, score, rel_tol=1e-12)


def test_a_forgotten_length_penalty_is_seen():
    best = {alpha: [exhaustive(Table(3, seed), 0, 4, alpha)[0][1] for seed in range(4)] for alpha in (0.0, 1.0)}
    assert best[0.0] != best[1.0]


@pytest.mark.parametrize("width", [2, 3])
def test_scores_of_narrow_beams_are_true_and_a_beam_that_forgets_is_seen(width):
    true, wrong = 0, 0
    for seed in range(8):
        for model in (Table(3, seed), Forgetful(3, seed)):
            for i, h in enumerate(search(model, width=width)):
                scores = {words: score for score, words in exhaustive(Table(3, seed), i, 4, 1.0)}
                if type(model) is Table:
                    true += math.isclose(scores[h.tokens], h.score, rel_tol=1e-12)
                else:
                    wrong += not math.isclose(scores[h.tokens], h.score, rel_tol=1e-12)
    assert true == 24 and wrong > 0


@pytest.mark.parametrize("alpha", [0.0, 1.0])
@pytest.mark.parametrize("seed", range(6))
def test_width_one_is_greedy(seed, alpha):
    for length in (1, 2, 7):
        one = search(Table(3, seed, 2.0), width=1, length=length, alpha=alpha)
        model = Table(3, seed, 2.0)
        assert [h.tokens for h in one] == greedy(model.step, model, sentences=3, begin=BEGIN, end=END, length=length)
    model = Table(3, seed, 2.0)
    assert [h.tokens for h in one] != [exhaustive(model, i, 4, alpha)[-1][1] for i in range(3)]


def test_a_search_stops_when_nothing_can_win():
    class Sure(Table):
        def logits(self, past):
            return torch.full((WORDS,), -9.0, dtype=torch.float64).index_fill(0, torch.tensor([END if len(past) > 3 else 4]), 9.0)

    model = Sure(3, 0)
    assert [h.tokens for h in search(model, width=4, length=50)] == [(4, 4)] * 3 and model.calls < 10


@pytest.mark.parametrize("style", ["plain", "long_short"])
def test_beams_of_a_translator_equal_an_exhaustive_search_with_whole_sentences(style):
    config = Config(words=WORDS, dim=8, heads=2, layers=2, kernels=(3,), length=8, style=style)
    net = build(config, translate=True, generator=torch.Generator().manual_seed(3)).double().eval()
    source = torch.tensor([[3, 4, 2, 0, 0], [4, 4, 3, 3, 2], [2, 0, 0, 0, 0]])
    found = beam_search(net.step, net.start(source, length=4), sentences=3, width=4**3, begin=BEGIN, end=END, length=4)
    narrow = beam_search(net.step, net.start(source, length=4), sentences=3, width=3, begin=BEGIN, end=END, length=4)
    for i in range(3):
        scores = {}
        for n in range(4):
            for words in itertools.product([w for w in range(WORDS) if w != END], repeat=n):
                whole = net(source[i:i + 1], torch.tensor([[BEGIN, *words]])).log_softmax(-1)[0]
                scores[words] = sum(whole[t, w].item() for t, w in enumerate((*words, END))) / (n + 1)
        assert found[i].tokens == max(scores, key=scores.get) and math.isclose(found[i].score, max(scores.values()), rel_tol=1e-10)
        assert math.isclose(narrow[i].score, scores[narrow[i].tokens], rel_tol=1e-10)
    single = greedy(net.step, net.start(source), sentences=3, begin=BEGIN, end=END, length=4)
    assert single == [h.tokens for h in beam_search(net.step, net.start(source), sentences=3, width=1, begin=BEGIN, end=END, length=4)]


def test_drawing_follows_the_probabilities_and_the_generator():
    net = build(replace(Config(words=WORDS, dim=8, heads=2, layers=1, length=8), style="flat"), generator=torch.Generator().manual_seed(0)).eval()
    prompt = torch.tensor([[1, 3]]).repeat(4000, 1)
    draw = lambda seed, **more: sample(net.step, net.start(4000), prompt, length=1, generator=torch.Generator().manual_seed(seed), **more)
    texts = draw(1)
    shares = texts[:, 2].bincount(minlength=WORDS) / 4000
    logits = net(prompt[:1])[0, -1]
    assert torch.equal(texts[:, :2], prompt) and torch.equal(texts, draw(1)) and not torch.equal(texts, draw(2))
    assert (shares - logits.softmax(-1)).abs().max() < 0.03 and (shares - (logits / 0.3).softmax(-1)).abs().max() > 0.05
    cold = draw(1, temperature=0.3)[:, 2].bincount(minlength=WORDS) / 4000
    assert (cold - (logits / 0.3).softmax(-1)).abs().max() < 0.03
    assert sample(net.step, net.start(2), prompt[:2], length=6, generator=torch.Generator().manual_seed(0)).shape == (2, 8)


def test_mistakes_are_named():
    for options in ({"width": 0}, {"width": 2, "length": 0}, {"width": 2, "alpha": -1.0}):
        with pytest.raises(TinylibError):
            search(Table(3, 0), **options)
    with pytest.raises(TinylibError):
        sample(None, None, torch.zeros(1, 0, dtype=torch.int64), length=1, generator=torch.Generator())
