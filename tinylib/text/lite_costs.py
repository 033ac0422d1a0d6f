"""MACs and parameters of Lite Transformer and its rivals, by formula, and widths that make them equal in MACs.

n words, d channels, m words of another sentence, k taps. A MAC is one multiply and one add; products with the zeros around a
sentence and with masked keys count, as dense kernels do them. Biases, norms, softmax and the look-up of a word cost no MAC.
"""

from collections.abc import Callable
from dataclasses import replace
from itertools import product

from tinylib.core.errors import TinylibError
from tinylib.text.lite_transformer import STYLES, Config


def attention_macs(n: int, d: int, m: int | None = None) -> int:
    """4 n d^2 + 2 n^2 d: four linear layers, scores, weighted sum. With another sentence 2 (n + m) d^2 + 2 n m d."""
    m = n if m is None else m
    return 2 * (n + m) * d * d + 2 * n * m * d


def convolution_macs(n: int, d: int, taps: int, *, heads: int = 4, glu: bool = False, dynamic: bool = False) -> int:
    """(2 or 3) n d^2 + n k d for a branch on d channels; dynamic kernels are made by one more layer, n d h k."""
    return (3 if glu else 2) * n * d * d + n * taps * d + (n * d * heads * taps if dynamic else 0)


def inner_macs(n: int, d: int, inner: int) -> int:
    """Feed-forward part 2 n d inner: 8 n d^2 with inner = 4 d, flat 2 n d^2."""
    return 2 * n * d * inner


def stack_macs(config: Config, n: int, m: int | None = None) -> dict[str, int]:
    """MACs by part (attention, convolution, cross, inner) of all layers for n words; with m, each also looks at a source of m words."""
    near, layers = config.dim - config.long, range(config.layers)
    branch = [convolution_macs(n, near, config.taps(i), heads=config.heads, glu=config.glu, dynamic=config.dynamic) for i in layers]
    return {"attention": config.layers * attention_macs(n, config.long),
            "convolution": sum(branch) if near else 0,
            "cross": config.layers * attention_macs(n, config.dim, m) if m is not None else 0,
            "inner": config.layers * inner_macs(n, config.dim, config.inner)}


def language_model_macs(config: Config, n: int) -> dict[str, int]:
    """MACs by part of a `LanguageModel` that reads one text of n tokens; "logits" is the last layer, n d words."""
    return {**stack_macs(config, n), "logits": n * config.dim * config.words}


def translator_macs(config: Config, m: int, n: int) -> dict[str, int]:
    """MACs by part of a `Translator` for one source of m and one target of n tokens, read whole."""
    encoder, decoder = stack_macs(config, m), stack_macs(config, n, m)
    return {**{part: encoder[part] + decoder[part] for part in decoder}, "logits": n * config.dim * config.words}


def params(config: Config, *, translate: bool = False) -> int:
    """Parameters of a `LanguageModel`, or of a `Translator`."""
    table = config.words * config.dim
    if translate:
        return table + _stack_params(config, cross=False) + _stack_params(config, cross=True)
    return table + _stack_params(config, cross=False)


def equal_widths(config: Config, budget: int, *, macs: Callable[[Config], int], spread: float = 0.03,
                 reach: float = 0.1) -> dict[str, Config]:
    """Each style at the width for which all three cost about `budget`: style -> `config` with its style and dim.

    `macs(config)` counts. Dearest and cheapest differ by at most `spread` of the cheapest; among such triples the one nearest to the
    budget, within `reach` of it. Widths are multiples of the heads (long_short: of twice the heads; always even).
    """
    near = {style: _widths_near(replace(config, dim=_unit(config, style), style=style), budget, macs, reach) for style in STYLES}
    triples = [t for t in product(*near.values()) if max(m for _, m in t) <= (1 + spread) * min(m for _, m in t)]
    if not triples:
        raise TinylibError(f"no three widths within {spread:.0%} near {budget:,} MACs; try fewer heads (finer widths), another budget or more reach")
    best = min(triples, key=lambda t: max(abs(m - budget) for _, m in t))
    return {style: chosen for style, (chosen, _) in zip(STYLES, best)}


def _widths_near(config: Config, budget: int, macs: Callable[[Config], int], reach: float) -> list[tuple[Config, int]]:
    found, unit = [], config.dim
    for times in range(1, 4096 // unit + 1):
        candidate = replace(config, dim=times * unit)
        cost = macs(candidate)
        if cost > (1 + reach) * budget:
            break
        if cost >= (1 - reach) * budget:
            found.append((candidate, cost))
    return found


def _unit(config: Config, style: str) -> int:
    unit = config.heads * (2 if style == "long_short" else 1)
    return unit if unit % 2 == 0 else 2 * unit


def _stack_params(config: Config, *, cross: bool) -> int:
    d, far, near, inner = config.dim, config.long, config.dim - config.long, config.inner
    each = _attention_params(far) + 2 * d * inner + inner + d + 4 * d
    if cross:
        each += _attention_params(d) + 2 * d
    total = config.layers * each + 2 * d
    if near:
        total += sum(_convolution_params(config, near, config.taps(i)) for i in range(config.layers))
    return total


def _attention_params(d: int) -> int:
    return 4 * d * d + 4 * d


def _convolution_params(config: Config, d: int, taps: int) -> int:
    enter, kernel = (1 + config.glu) * (d * d + d), (d if config.dynamic else 1) * config.heads * taps
    return enter + kernel + d * d + d
