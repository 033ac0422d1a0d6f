"""Three styles: formulas equal counts, nothing looks ahead, padding is silent, one token at a time equals the whole sentence."""

import copy
from dataclasses import replace

import pytest
import torch

from tinylib.core.errors import TinylibError
from tinylib.measure.profile import profile
from tinylib.text.lite_costs import (
    attention_macs,
    convolution_macs,
    equal_widths,
    inner_macs,
    language_model_macs,
    params,
    translator_macs,
)
from tinylib.text.lite_transformer import STYLES, Config, arguments, build, lite_transformer

SMALL = Config(words=11, dim=16, heads=2, layers=3, kernels=(3, 4), length=12)
VARIANTS = [replace(SMALL, style="plain"), replace(SMALL, style="flat"), SMALL, replace(SMALL, glu=True), replace(SMALL, dynamic=True),
            replace(SMALL, dynamic=True, glu=True, kernels=(1, 2, 31))]
NAMES = ["plain", "flat", "long_short", "glu", "dynamic", "dynamic glu, long kernel"]
variants = pytest.mark.parametrize("config", VARIANTS, ids=NAMES)


def model(config, *, translate=False, seed=0, dtype=torch.float64):
    """Drawn weights, and drawn norms and biases too, so that nothing hides behind zeros and ones."""
    net, generator = build(config, translate=translate, generator=torch.Generator().manual_seed(seed)).to(dtype).eval(), torch.Generator().manual_seed(7)
    with torch.no_grad():
        for p in net.parameters():
            p.add_(torch.randn(p.shape, generator=generator).to(dtype) * 0.2)
    return net


def tokens(*shape, low=1, seed=0):
    return torch.randint(low, 11, shape, generator=torch.Generator().manual_seed(seed))


def test_the_papers_formulas():
    n, d = 30, 512
    assert attention_macs(n, d) == 4 * n * d**2 + 2 * n**2 * d == 32_378_880
    assert attention_macs(n, d // 2) == n * d**2 + n**2 * d == 8_325_120
    assert inner_macs(n, d, 4 * d) == 8 * n * d**2 and inner_macs(n, d, d) == 2 * n * d**2
    assert convolution_macs(n, d, 7) == 2 * n * d**2 + 7 * n * d


@variants
def test_formulas_equal_counts(config):
    for n in (1, 5, 12):
        counted = profile(model(config), tokens(1, n))
        assert counted.macs == sum(language_model_macs(config, n).values()) and not counted.unknown
        assert profile(model(config, dtype=torch.float32), tokens(3, n)).macs == 3 * counted.macs
        pair = profile(model(config, translate=True), tokens(1, 7), tokens(1, n))
        assert pair.macs == sum(translator_macs(config, 7, n).values()) and not pair.unknown
    for translate in (False, True):
        assert sum(p.numel() for p in model(config, translate=translate).parameters()) == params(config, translate=translate)


def test_a_formula_that_forgets_the_square_of_n_is_seen():
    wrong = sum(language_model_macs(SMALL, 5).values()) - 3 * 2 * 5**2 * 8
    assert profile(model(SMALL), tokens(1, 5)).macs != wrong


@variants
@torch.no_grad()
def test_nothing_looks_ahead(config):
    net, both, source = model(config), model(config, translate=True), tokens(2, 7, seed=2)
    text = tokens(2, 9)
    before, pair = net(text), both(source, text)
    for t in range(9):
        changed = text.clone()
        changed[:, t] = (text[:, t] + 3) % 11
        for old, new in ((before, net(changed)), (pair, both(source, changed))):
            assert torch.allclose(old[:, :t], new[:, :t], rtol=0, atol=1e-12)
            assert ((old - new)[:, t].abs().amax(-1) > 1e-6).all(), "the present token is seen"


@torch.no_grad()
def test_a_look_ahead_of_each_branch_is_seen():
    text = tokens(2, 9)
    changed = text.clone()
    changed[:, 5] = (text[:, 5] + 3) % 11
    for branch in ("attention", "convolution"):
        net = model(SMALL)
        for block in net.decoder.blocks:
            if branch == "attention":
                block.mix.causal = False
            else:
                block.mix.convolution.causal = False
        assert (net(text) - net(changed))[:, :5].abs().max() > 1e-6


@variants
@torch.no_grad()
def test_padding_of_the_source_is_silent(config):
    net, target = model(config, translate=True), tokens(2, 4, seed=1)
    source = tokens(2, 7)
    source[0, 4:] = 0
    noisy = net.words.weight
    alone = net(source[:1, :4], target[:1])
    assert torch.allclose(net(source, target)[:1], alone, rtol=0, atol=1e-12)
    noisy[0] += 5
    assert torch.allclose(net(source, target)[:1, :, 1:], alone[..., 1:], rtol=0, atol=1e-12), "whatever vector padding has"


@variants
@pytest.mark.parametrize("dtype, tolerance", [(torch.float64, 1e-12), (torch.float32, 2e-5)], ids=["float64", "float32"])
@torch.inference_mode()
def test_one_token_at_a_time_equals_the_whole_sentence(config, dtype, tolerance):
    net, both, source, text = model(config, dtype=dtype), model(config, translate=True, dtype=dtype), tokens(3, 7, low=0, seed=2), tokens(3, 12)
    source[:, 0] = 1
    for whole, state, step in ((net(text), net.start(3), net.step), (both(source, text), both.start(source), both.step)):
        scale = whole.abs().max()
        for t in range(12):
            assert (step(text[:, t], state) - whole[:, t]).abs().max() <= tolerance * scale, f"token {t}"
        assert state.position == 12


@variants
@torch.inference_mode()
def test_after_a_reorder_each_sentence_goes_on_from_its_new_past(config):
    net, source, text, index = model(config, translate=True), tokens(3, 7, low=0, seed=2), tokens(3, 12), torch.tensor([1, 1, 2, 0, 0])
    source[:, 0] = 1
    state = net.start(source)
    for t in range(4):
        net.step(text[:, t], state)
    later = tokens(5, 3, seed=5)
    expected = net(source[index], torch.cat([text[index, :4], later], 1))[:, 4:]
    for part in ("far", "near", "source"):                       # planted bug: one part of each block's state keeps its old order
        bad, old = copy.deepcopy(state), copy.deepcopy(state)
        bad.reorder(index)
        old.reorder(torch.tensor([0, 1, 2, 0, 1]))
        for new_block, old_block in zip(bad.blocks, old.blocks):
            setattr(new_block, part, getattr(old_block, part))
        if part == "near" and (config.style != "long_short" or max(config.kernels) == 1):
            continue
        assert not torch.allclose(net.step(later[:, 0], bad), expected[:, 0], rtol=0, atol=1e-9), part
    state.reorder(index)
    for t in range(3):
        assert torch.allclose(net.step(later[:, t], state), expected[:, t], rtol=0, atol=1e-11)


@pytest.mark.parametrize("heads, budget", [(2, 20_000_000), (2, 60_000_000), (4, 40_000_000), (4, 150_000_000)])
def test_three_widths_of_equal_cost(heads, budget):
    base = Config(words=2000, heads=heads)
    macs = lambda config: sum(language_model_macs(config, 128).values()) - language_model_macs(config, 128)["logits"]
    found = equal_widths(base, budget, macs=macs)
    costs = [macs(config) for config in found.values()]
    assert list(found) == list(STYLES) == [config.style for config in found.values()]
    assert max(costs) <= 1.03 * min(costs) and all(abs(c - budget) <= 0.1 * budget for c in costs)
    assert all(config.long % heads == 0 for config in found.values()) and found["plain"].dim < found["flat"].dim < found["long_short"].dim
    with pytest.raises(TinylibError, match="budget"):
        equal_widths(base, 10, macs=macs)


def test_weights_come_from_the_generator_alone():
    torch.manual_seed(1)
    before = torch.get_rng_state()
    a, b, c = (build(SMALL, generator=torch.Generator().manual_seed(seed)) for seed in (3, 3, 4))
    assert torch.equal(before, torch.get_rng_state())
    same = [torch.equal(p, q) for p, q in zip(a.parameters(), b.parameters())]
    assert all(same) and not torch.equal(a.words.weight, c.words.weight)
    assert 0.7 < a(tokens(4, 12)).std() < 1.4, "logits start near unit size"


def test_dropout_is_drawn_from_the_generator():
    net, text = build(replace(SMALL, dropout=0.2, kernel_dropout=0.2), generator=torch.Generator().manual_seed(0)), tokens(2, 9)
    one, two = (net(text, generator=torch.Generator().manual_seed(5)) for _ in range(2))
    assert torch.equal(one, two) and not torch.equal(one, net(text, generator=torch.Generator().manual_seed(6)))
    assert torch.equal(net.eval()(text), net(text))
    with pytest.raises(TinylibError, match="generator"):
        net.train()(text)


def test_every_weight_learns():
    for translate in (False, True):
        net = build(replace(SMALL, dynamic=translate, glu=translate), translate=translate, generator=torch.Generator().manual_seed(0))
        net(*(tokens(2, 9, seed=i) for i in range(1 + translate))).logsumexp(-1).sum().backward()
        assert all(p.grad is not None and p.grad.abs().max() > 0 for p in net.parameters())


@torch.no_grad()
def test_a_checkpoints_arguments_remake_the_model():
    for translate in (False, True):
        net = model(replace(SMALL, glu=True), translate=translate, dtype=torch.float32)
        again = lite_transformer(**arguments(net))
        again.load_state_dict(net.state_dict())
        inputs = [tokens(2, 5, seed=i) for i in range(1 + translate)]
        assert torch.equal(net(*inputs), again.eval()(*inputs)) and again.config == net.config


def test_mistakes_are_named():
    for call in (lambda: Config(words=9, style="wide"), lambda: Config(words=9, dim=12, heads=4), lambda: Config(words=9, dim=17, heads=1),
                 lambda: Config(words=9, kernels=()), lambda: model(SMALL)(tokens(1, 13))):
        with pytest.raises(TinylibError):
            call()
