"""How many tokens a second does a decoder write?  Ours: one token at a time with a cache; rivals: the whole text again each time (ours, torch's layers)."""

import argparse
import json
import platform
from collections.abc import Iterator

import torch
from torch import Tensor, nn

from tinylib.core.seed import generator
from tinylib.measure.latency import race
from tinylib.text.lite_transformer import STYLES, Config, build

DIM, HEADS, LAYERS, WORDS, TOKENS, SOURCE = 128, 4, 4, 2000, 128, 32


def with_cache(model: nn.Module, *source: Tensor, b: int) -> Tensor:
    """TOKENS tokens, the likeliest each time, one step for each."""
    state = model.start(*(source or (b,)), length=TOKENS)
    last, out = torch.ones(b, dtype=torch.int64), []
    for _ in range(TOKENS):
        last = model.step(last, state).argmax(-1)
        out.append(last)
    return torch.stack(out, 1)


def without_cache(last_logits, b: int) -> Tensor:
    """The same, `last_logits(text)` for the whole text each time."""
    text = torch.ones(b, 1, dtype=torch.int64)
    for _ in range(TOKENS):
        text = torch.cat([text, last_logits(text).argmax(-1, keepdim=True)], 1)
    return text[:, 1:]


class TorchDecoder(nn.Module):
    """torch's own decoder layers at the same width, with our embedding and output layer."""

    def __init__(self, words: nn.Module):
        super().__init__()
        self.words = words
        layer = nn.TransformerDecoderLayer(DIM, HEADS, 4 * DIM, dropout=0.0, batch_first=True, norm_first=True)
        self.layers = nn.TransformerDecoder(layer, LAYERS, nn.LayerNorm(DIM))

    def last_logits(self, text: Tensor, memory: Tensor) -> Tensor:
        """Logits (b, words) of the next token."""
        mask = nn.Transformer.generate_square_subsequent_mask(text.shape[1])
        return self.words.logits(self.layers(self.words(text), memory, tgt_mask=mask, tgt_is_causal=True)[:, -1])


def row(case: str, ours, rival, *, b: int, seconds: float, same: bool = True) -> dict:
    """Tokens a second of both, turn by turn, at each one's fastest run; they must write the same text unless they are different networks."""
    if same and not torch.equal(ours(), rival()):
        raise SystemExit(f"{case}: the two texts differ")
    times = race({"ours": ours, "rival": rival}, runs=20, warmup=0, seconds=seconds)      # the comparison above warmed them up, or the first run does
    mine, theirs = (b * TOKENS / times[name].fastest_ms * 1e3 for name in ("ours", "rival"))
    return {"case": case, "ours": round(mine), "rival": round(theirs), "unit": "tokens/s", "ratio": mine / theirs,
            "ratio_of_medians": times["rival"].median_ms / times["ours"].median_ms}


@torch.inference_mode()
def rows(b: int, seconds: float) -> Iterator[dict]:
    """Language models of each style with and without cache, then a translator against torch's layers."""
    for style in STYLES:
        config = Config(words=WORDS, dim=DIM, heads=HEADS, layers=LAYERS, style=style, length=TOKENS + 1)
        model = build(config, generator=generator(0, style)).eval()
        again = lambda text, model=model: model.words.logits(model.decoder(model.words(text))[:, -1])
        yield row(f"{style}, batch {b}, cache against none", lambda model=model: with_cache(model, b=b), lambda again=again: without_cache(again, b),
                         b=b, seconds=seconds)
    source = torch.randint(1, WORDS, (b, SOURCE), generator=generator(1))
    for style in ("plain", "long_short"):
        model = build(Config(words=WORDS, dim=DIM, heads=HEADS, layers=LAYERS, style=style, length=TOKENS + 1), translate=True, generator=generator(2)).eval()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            rival = TorchDecoder(model.words).eval()
        memory = model.encode(source)[0]
        yield row(f"{style} with a source of {SOURCE}, batch {b}, cache against torch.nn.TransformerDecoderLayer",
                         lambda model=model: with_cache(model, source, b=b),
                         lambda rival=rival, memory=memory: without_cache(lambda text: rival.last_logits(text, memory), b), b=b, seconds=seconds, same=False)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--seconds", type=float, default=10.0, help="for each row")
    args = parser.parse_args()
    torch.set_num_threads(1)
    found = []
    for b in (1, 16):
        for r in rows(b, args.seconds):
            found.append(r)
            speed = f"{r['ratio']:.2f} times as fast ({r['ratio_of_medians']:.2f} by medians)"
            print(f"{r['case']}: {r['ours']:,} tokens/s, rival {r['rival']:,}: {speed}", flush=True)
    if args.json:
        print(json.dumps({"question": __doc__, "rows": found, "machine": platform.processor() or platform.machine(),
                          "versions": {"torch": torch.__version__, "python": platform.python_version()}}))


if __name__ == "__main__":
    main()
