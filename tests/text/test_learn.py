"""Rows, losses and translations against one token at a time."""

import math

import pytest
import torch
import torch.nn.functional as F

from tinylib.core.errors import TinylibError
from tinylib.text import learn
from tinylib.text.lite_transformer import Config, build
from tinylib.text.tokens import BEGIN, END, PAD


def small(translate=False, seed=0):
    config = Config(words=12, dim=8, heads=2, layers=2, kernels=(2, 3), length=40)
    return build(config, translate=translate, generator=torch.Generator().manual_seed(seed)).eval()


def test_every_token_is_predicted_once():
    texts = [[5, 6, 7, 8, 9], [3], [4, 5, 6]]
    rows = learn.windows(texts, 3)
    assert rows.tolist() == [[BEGIN, 5, 6, 7], [7, 8, 9, PAD], [BEGIN, 3, PAD, PAD], [BEGIN, 4, 5, 6]]
    assert [t for row in rows.tolist() for t in row[1:] if t != PAD] == [t for text in texts for t in text]
    assert learn.windows([[3]], 5).shape == (1, 6)
    with pytest.raises(TinylibError, match="at least one"):
        learn.windows(texts, 0)


def test_log_probabilities_and_loss_agree_with_a_loop():
    model, rows = small(), learn.windows([[5, 6, 7, 8, 9], [3, 4]], 3)
    expected = []
    for row in rows.tolist():
        for t in range(1, len(row)):
            if row[t] != PAD:
                logits = model(torch.tensor([row[:t]]))[0, -1]
                expected.append((logits[row[t]] - logits.logsumexp(0)).item())
    ours = learn.log_probabilities(model.train(), rows, batch=2)
    assert model.training and torch.allclose(ours, torch.tensor(expected), atol=1e-5)
    with torch.no_grad():
        loss = learn.next_token_loss(model.eval(), rows[:, :-1], rows[:, 1:])
        assert math.isclose(loss.item(), -sum(expected) / len(expected), rel_tol=1e-5)
        counted = F.cross_entropy(model(rows[:, :-1]).flatten(0, 1), rows[:, 1:].flatten()).item()
    assert not math.isclose(counted, -sum(expected) / len(expected), rel_tol=1e-3), "padding must matter, or this test proves nothing"


def test_batches_hold_every_pair_once_in_a_new_order():
    source, target = [[3] * (1 + i % 7) + [4 + i % 8] for i in range(23)], [[5] * (1 + i % 5) for i in range(23)]
    batches = learn.PairBatches(source, target, batch=4, generator=torch.Generator().manual_seed(1))
    def once():
        return [(tuple(t for t in s if t != PAD), tuple(t for t in u if t != PAD)) for x, y in batches for s, u in zip(x.tolist(), y.tolist())]

    first, second = once(), once()
    expected = sorted(((*s, END), (BEGIN, *t, END)) for s, t in zip(source, target))
    assert len(batches) == 6 and sorted(first) == sorted(second) == expected and first != second
    with pytest.raises(TinylibError, match="pairs"):
        learn.PairBatches(source, target[:-1], batch=4, generator=torch.Generator())


def test_translations_are_those_of_one_sentence_at_a_time():
    model, sentences = small(translate=True), [[3, 4, 5], [6], [7, 8, 9, 10, 3]]
    for beam in (1, 3):
        together = learn.translate(model, sentences, beam=beam, length=9, batch=2)
        assert together == [learn.translate(model, [s], beam=beam, length=9)[0] for s in sentences]
    slow = []
    for sentence in sentences:
        out = [BEGIN]
        while len(out) < 9 and out[-1] != END:
            with torch.no_grad():
                out.append(model(torch.tensor([[*sentence, END]]), torch.tensor([out]))[0, -1].argmax().item())
        slow.append(tuple(t for t in out[1:] if t != END))
    assert learn.translate(model, sentences, length=9) == slow


def test_translation_loss_counts_the_end_and_not_the_padding():
    model = small(translate=True)
    source, target = torch.tensor([[3, END]]), torch.tensor([[BEGIN, 4, END, PAD]])
    with torch.no_grad():
        logits = model(source, target[:, :2])
        expected = F.cross_entropy(logits[0], torch.tensor([4, END]))
        assert torch.isclose(learn.translation_loss()(model, source, target), expected, atol=1e-6)
