"""Attention against loops, masks, the cache against the whole sentence, and the distance a head looks."""

import pytest
import torch

from tinylib.core.errors import TinylibError
from tinylib.text.attention import Attention, attention_distance, attention_maps, visible


def drawn(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


def attention(dim=8, heads=2, seed=1):
    layer = Attention(dim, heads).double()
    with torch.no_grad():
        for i, p in enumerate(layer.parameters()):
            p.copy_(drawn(*p.shape, seed=seed + i) * 0.5)
    return layer


def by_loops(layer, x, memory, keep, causal):
    """The definition: one sentence, one head, one query, one key at a time."""
    d, size = layer.dim, layer.dim // layer.heads
    weight, bias = layer.qkv.weight, layer.qkv.bias
    out = torch.zeros_like(x)
    for b in range(x.shape[0]):
        for h in range(layer.heads):
            rows = slice(h * size, (h + 1) * size)
            for i in range(x.shape[1]):
                query = weight[:d][rows] @ x[b, i] + bias[:d][rows]
                top, bottom = torch.zeros(size, dtype=x.dtype), 0.0
                for j in range(memory.shape[1]):
                    if (keep is not None and not keep[b, j]) or (causal and j > i):
                        continue
                    key = weight[d:2 * d][rows] @ memory[b, j] + bias[d:2 * d][rows]
                    value = weight[2 * d:][rows] @ memory[b, j] + bias[2 * d:][rows]
                    share = torch.exp(query @ key / size**0.5)
                    top, bottom = top + share * value, bottom + share
                out[b, i, rows] = top / bottom if bottom else 0.0
    return out @ layer.out.weight.T + layer.out.bias


KEEP = torch.tensor([[True, True, True, False, False], [True, True, True, True, True], [False, True, True, False, True]])
CASES = {"self": (False, False, False), "causal": (False, False, True), "padded": (False, True, False), "causal padded": (False, True, True),
         "cross": (True, False, False), "cross padded": (True, True, False)}


@pytest.mark.parametrize("case", CASES)
@torch.no_grad()
def test_attention_equals_loops(case):
    other, masked, causal = CASES[case]
    layer, x, memory = attention(), drawn(3, 5, 8), drawn(3, 5, 8, seed=9)
    keep, source = KEEP if masked else None, memory if other else None
    expected = by_loops(layer, x, x if source is None else source, keep, causal)
    assert torch.allclose(layer(x, memory=source, keep=keep, causal=causal), expected, rtol=0, atol=1e-12)
    q, k, v = layer.project(x, source)
    probabilities = layer.probabilities(x, memory=source, keep=keep, causal=causal)
    assert torch.allclose(layer.join(probabilities @ v), expected, rtol=0, atol=1e-12)


@torch.no_grad()
def test_the_loops_see_a_look_ahead_a_forgotten_mask_and_a_wrong_scale():
    layer, x = attention(), drawn(3, 5, 8)
    causal, padded = by_loops(layer, x, x, None, True), by_loops(layer, x, x, KEEP, False)
    assert not torch.allclose(layer(x), causal) and not torch.allclose(layer(x), padded)
    layer.qkv.weight[:8] *= 2
    assert not torch.allclose(layer(x, causal=True), causal)


def test_a_query_that_sees_nothing_gets_zeros_and_no_gradient_is_nan():
    layer, x = attention(), drawn(1, 3, 8).requires_grad_()
    nothing = torch.zeros(1, 3, dtype=torch.bool)
    out = layer(x, keep=nothing)
    assert torch.equal(out, layer.out.bias.expand_as(out))
    out.sum().backward()
    assert torch.equal(x.grad, torch.zeros_like(x)) and not layer.probabilities(x, keep=nothing).any()


def test_gradients_are_right():
    layer, x = attention(4, 2), drawn(2, 3, 4).requires_grad_()
    assert torch.autograd.gradcheck(lambda v: layer(v, keep=KEEP[:2, :3], causal=True), x)


@torch.no_grad()
def test_one_token_at_a_time_equals_the_whole_sentence():
    layer, x, memory = attention(), drawn(3, 5, 8), drawn(3, 5, 8, seed=9)
    past, source = layer.start(3, 5), layer.look(memory, KEEP)
    for i in range(5):
        assert torch.allclose(past.step(x[:, i]), layer(x, causal=True)[:, i], rtol=0, atol=1e-12)
        assert torch.allclose(source.step(x[:, i]), layer(x, memory=memory, keep=KEEP)[:, i], rtol=0, atol=1e-12)
    with pytest.raises(TinylibError, match="full"):
        past.step(x[:, 0])


@torch.no_grad()
def test_a_reordered_past_goes_on_from_the_other_sentence():
    layer, x, index = attention(), drawn(3, 5, 8), torch.tensor([2, 0, 0, 1])
    past, blind = layer.start(3, 5), layer.start(4, 5)
    for i in range(3):
        past.step(x[:, i])
        blind.step(x[:, i][[0, 1, 2, 0]])
    past.reorder(index)
    picked = torch.cat([x[index, :3], drawn(4, 2, 8, seed=5)], 1)
    for i in (3, 4):
        expected = layer(picked, causal=True)[:, i]
        assert torch.allclose(past.step(picked[:, i]), expected, rtol=0, atol=1e-12)
        assert not torch.allclose(blind.step(picked[:, i]), expected), "a past that was not reordered is seen"


@torch.no_grad()
def test_a_source_follows_its_sentences_and_copies_only_when_they_change():
    layer, x, memory = attention(), drawn(6, 2, 8), drawn(3, 5, 8, seed=9)
    source, rows = layer.look(memory, KEEP), torch.tensor([0, 0, 1, 1, 2, 2])
    source.reorder(rows)
    keys = source.keys
    source.reorder(torch.tensor([1, 1, 3, 2, 4, 5]))
    assert source.keys is keys, "beams changed places within their sentences"
    assert torch.allclose(source.step(x[:, 0]), layer(x, memory=memory[rows], keep=KEEP[rows])[:, 0], rtol=0, atol=1e-12)
    source.reorder(torch.tensor([4, 0]))
    expected = layer(x[:2], memory=memory[[2, 0]], keep=KEEP[[2, 0]])[:, 1]
    assert torch.allclose(source.step(x[:2, 1]), expected, rtol=0, atol=1e-12)
    assert not torch.allclose(layer.look(memory[:2], KEEP[:2]).step(x[:2, 1]), expected)


def distance_by_loops(p, keep):
    """Mean over real queries of the sum of p |i - j|, head by head."""
    out = torch.zeros(p.shape[1], dtype=p.dtype)
    for h in range(p.shape[1]):
        seen = [(b, i) for b in range(p.shape[0]) for i in range(p.shape[2]) if keep is None or keep[b, i]]
        out[h] = sum(p[b, h, i, j] * abs(i - j) for b, i in seen for j in range(p.shape[3])) / len(seen)
    return out


@pytest.mark.parametrize("keep", [None, KEEP], ids=["all", "padded"])
@torch.no_grad()
def test_attention_distance_equals_loops(keep):
    p = attention().probabilities(drawn(3, 5, 8), keep=keep)
    assert torch.allclose(attention_distance(p, keep), distance_by_loops(p, keep), rtol=0, atol=1e-12)
    assert not torch.allclose(attention_distance(p, keep), distance_by_loops(p.flip(3), keep), rtol=0, atol=1e-3)
    assert torch.equal(attention_distance(torch.eye(5).expand(2, 3, 5, 5)), torch.zeros(3))


@torch.no_grad()
def test_maps_of_a_model_are_those_of_its_layers():
    class Two(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second = attention(), attention(seed=7)

        def forward(self, x):
            return self.second(self.first(x, causal=True), keep=KEEP)

    model, x = Two().train(), drawn(3, 5, 8)
    maps = attention_maps(model, x)
    assert list(maps) == ["first", "second"] and model.training
    assert torch.equal(maps["first"], model.first.probabilities(x, causal=True))
    assert torch.equal(maps["second"], model.second.probabilities(model.first(x, causal=True), keep=KEEP))
    assert not model.first._forward_pre_hooks


def test_mistakes_are_named():
    with pytest.raises(TinylibError, match="heads"):
        Attention(10, 4)
    assert visible(3, 3) is None
