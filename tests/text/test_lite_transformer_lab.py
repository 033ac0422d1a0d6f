"""What ships for the lab lite_transformer: equal MACs, no look ahead, and a panel whose networks run on a given convolution."""

import pytest
import torch

from tinylib.core.checkpoint import load_model, load_record
from tinylib.exercises.wrong import lite_transformer as wrong
from tinylib.panels.lite_transformer import driven, network, tokens
from tinylib.text.tokens import BEGIN

STYLES = ("plain", "flat", "long_short")
TEXT = "and it happened in those days, that he went out to the mountain to pray."


def row(text=TEXT):
    return torch.tensor([[BEGIN, *tokens().encode(text)]])


@pytest.mark.parametrize("style", STYLES)
def test_the_panel_runs_the_shipped_network(style):
    """With the reference in place of its convolution a network answers as before; with a wrong one, only long_short changes."""
    with torch.no_grad():
        own = network(style)(row())
        assert torch.allclose(driven(style, wrong.light_convolution)(row()), own, atol=1e-4)
        assert torch.allclose(driven(style, wrong.turned_round)(row()), own, atol=1e-4) == (style != "long_short")


@pytest.mark.parametrize("style", STYLES)
def test_no_shipped_language_model_sees_the_future(style):
    x, y = row(), row()
    y[0, 8] = (y[0, 8] + 1) % len(tokens())

    def moved(model):
        with torch.no_grad():
            return (model(x) - model(y)).abs().amax(-1)[0, :8].max().item()

    assert moved(network(style)) == 0
    if style == "long_short":
        assert moved(driven(style, wrong.looks_ahead)) > 0, "a leak must be seen, or this test proves nothing"


def test_the_three_cost_the_same_within_two_per_cent():
    runs = load_record("lite_transformer-effects")
    macs = {r["macs"] for r in runs}
    assert {(r["style"], r["seed"]) for r in runs} == {(s, i) for s in STYLES for i in range(5)} and max(macs) <= 1.02 * min(macs)


def test_the_translator_translates():
    from tokenizers import Tokenizer

    from tinylib.text.learn import translate
    from tinylib.text.tokens import Tokens
    both = Tokens(Tokenizer.from_str(load_record("lite_transformer-both")))
    out = translate(load_model("lite_transformer-translator"), [both.encode("yahweh spoke to moses, saying,")], beam=4)
    assert both.decode(out[0]) == "y habló jehová á moisés, diciendo:"
