"""Keep-all is dense attention; pruned work is the masked dense network; bits come back; kept sets are nested."""

import numpy as np
import pytest
import torch

from tinylib.core.errors import TinylibError
from tinylib.text.encoder import attention_probabilities, transformer
from tinylib.text.spatten import Plan, attend, classify, counts, next_word, quantize, read_prompt, recompose, split_bits, top_k


def network(causal=False):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(5)
        return transformer(words=50, outputs=50 if causal else 6, length=12, dim=16, heads=4, layers=3, inner=24, causal=causal).double().eval()


def some_tokens(b=3, n=10):
    return torch.randint(0, 50, (b, n), generator=torch.Generator().manual_seed(1))


def double_state(monkeypatch):
    monkeypatch.setattr(torch, "zeros", lambda *s, _zeros=torch.zeros, **k: _zeros(*s, **{"dtype": torch.float64, **k}))


def test_keep_all_is_dense_attention():
    net, tokens = network().float(), some_tokens()
    logits, trace = classify(net, tokens, Plan())
    assert torch.equal(logits, net(tokens).detach())
    assert (trace.value_rows == 10).all() and (trace.value_uses == 100).all() and not trace.refetched.any()


@torch.no_grad()
def masked_dense(net, tokens, token_counts, head_counts, protect=True):
    """The same pruning in a network of full size, one passage at a time: pruned columns get no probability."""
    out = []
    for row in tokens:
        x, n = net.embed(row[None]), len(row)
        alive, live, worth, head_worth = set(range(n)), set(range(4)), np.zeros(n), np.zeros(4)
        for layer, block in enumerate(net.blocks):
            ranked = sorted(alive, key=lambda j: (-(np.inf if j == 0 and protect else worth[j]), j))
            alive = set(ranked[:token_counts[layer]])
            live = set(sorted(live, key=lambda h: (-head_worth[h], h))[:head_counts[layer]])
            q, k, v = block.attention.project(block.norm1(x))
            scores = q @ k.transpose(-1, -2) / 2
            scores[..., [j for j in range(n) if j not in alive]] = -torch.inf
            probs = scores.softmax(-1)
            heads = probs @ v
            heads[:, [h for h in range(4) if h not in live]] = 0
            for j in alive:
                worth[j] += sum(float(probs[0, h, i, j]) for h in live for i in alive)
            for h in live:
                head_worth[h] += sum(float(heads[0, h, i].abs().sum()) for i in alive)
            x = block.after_attention(x, heads)
        out.append(net.read_out(x))
    return torch.cat(out).detach()


def test_compact_work_is_the_masked_dense_network(monkeypatch):
    net, tokens = network(), some_tokens()
    double_state(monkeypatch)
    logits, trace = classify(net, tokens, Plan(tokens=0.4, heads=0.5))
    assert torch.allclose(logits, masked_dense(net, tokens, [10, 7, 4], [4, 3, 2]), rtol=0, atol=1e-10)
    assert trace.keys.tolist() == [10, 7, 4] and ((trace.value_rows > 0).sum(2) == [4, 3, 2]).all()


def test_a_planted_bug_is_seen(monkeypatch):
    net, tokens = network(), some_tokens()
    double_state(monkeypatch)
    logits, _ = classify(net, tokens, Plan(tokens=0.4, heads=0.5))
    assert not torch.allclose(logits, masked_dense(net, tokens, [10, 8, 4], [4, 3, 2]), rtol=0, atol=1e-10)


def test_kept_sets_are_nested_and_the_first_token_stays():
    alive = classify(network().float(), some_tokens(), Plan(tokens=0.2))[1].alive
    assert (alive[:, 1:] <= alive[:, :-1]).all() and alive[:, :, 0].all() and (alive.sum(2) == counts(0.2, 10, 3)).all()


def test_generation_with_everything_kept_is_the_dense_network():
    net, tokens = network(causal=True).float(), some_tokens()
    logits, trace = next_word(net, read_prompt(net, tokens[:, :-1]), tokens[:, -1], Plan())
    assert torch.allclose(logits, net(tokens)[:, -1].detach(), rtol=0, atol=1e-5)
    assert (trace.value_rows == 10).all() and (trace.queries == 1).all()


def test_generation_prunes_and_keeps_the_new_token():
    net, tokens = network(causal=True).float(), some_tokens()
    _, trace = next_word(net, read_prompt(net, tokens[:, :-1]), tokens[:, -1], Plan(tokens=0.3, heads=0.5, values=0.5))
    assert trace.keys.tolist() == [10, 6, 3] and trace.alive[:, :, 9].all() and (trace.value_rows[:, 0] == 5).all()


@pytest.mark.parametrize("lsb", [0, 1, 4])
def test_bits_come_back_for_negative_numbers(lsb):
    q = torch.arange(-128, 128)
    high, low = split_bits(q, lsb)
    assert torch.equal(recompose(high, low, lsb), q) and (low >= 0).all() and int(high.min()) == -(128 >> lsb)


def test_towards_zero_would_not_be_twos_complement():
    high, _ = split_bits(torch.tensor([-5]), 2)
    assert high.item() == -2 and int(-5 / 4) == -1


def random_qkv():
    return torch.randn(3, 2, 4, 6, 8, generator=torch.Generator().manual_seed(2)).unbind(0)


def test_thresholds_at_both_ends():
    q, k, v = random_qkv()
    full = attend(q, k, v, Plan(msb=12))
    never, always = attend(q, k, v, Plan(msb=8, lsb=4)), attend(q, k, v, Plan(msb=8, lsb=4, threshold=1.1))
    assert not never[3].any() and always[3].all()
    assert torch.allclose(always[0], full[0], atol=1e-6) and not torch.allclose(never[0], full[0], atol=1e-6)


def test_a_probability_at_the_threshold_fetches_nothing():
    q = torch.zeros(1, 1, 1, 4)
    k = v = torch.ones(1, 1, 4, 4)
    assert not attend(q, k, v, Plan(msb=4, lsb=4, threshold=0.25))[3].any() and attend(q, k, v, Plan(msb=4, lsb=4, threshold=0.26))[3].all()


def test_ties_keep_the_first_and_counts_end_right():
    assert top_k(torch.tensor([1.0, 2.0, 2.0, 2.0]), 2).tolist() == [False, True, True, False]
    assert counts(0.25, 48, 4) == [48, 36, 24, 12] and counts(0.01, 4, 2) == [4, 1] and counts(0.5, 8, 1) == [8]


def test_quantized_numbers_use_their_range():
    q, scale = quantize(torch.tensor([[-1.0, 0.5], [0.25, 1.0]]), 8)
    assert q.tolist() == [[-127, 64], [32, 127]] and scale.item() == pytest.approx(1 / 127)


def test_causal_rows_see_no_later_key():
    probs = attention_probabilities(*random_qkv()[:2], causal=True)
    assert torch.equal(probs.triu(1), torch.zeros_like(probs)) and torch.allclose(probs.sum(-1), torch.ones(2, 4, 6))


def test_impossible_plans_are_refused():
    for wrong in ({"tokens": 0}, {"heads": 1.5}, {"lsb": 4}):
        with pytest.raises(TinylibError):
            Plan(**wrong)
