"""Lite Transformer: attention for what is far, convolution for what is near, each on half of the channels (Wu et al., ICLR 2020).

Three styles of one network, so that they can be compared at equal MACs:
  plain       attention over d channels, then two layers of width 4 d
  flat        attention over d channels, then two layers of width d
  long_short  channels split in half: the left half to attention, the right half to a convolution; joined; then two layers of width d
Each part has a layer norm in front and a sum around it. A model reads whole sentences (`forward`) or one token at a time
(`start`, `step`: `tinylib.text.lite_state`); both give the same numbers. Formulas: `tinylib.text.lite_costs`. Lab: lite_transformer.
"""

from dataclasses import asdict, dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tinylib.core.errors import TinylibError
from tinylib.nn.layers import initialise
from tinylib.text.attention import Attention
from tinylib.text.convolution import ConvolutionBranch
from tinylib.text.dropout import dropout
from tinylib.text.lite_state import State

STYLES = ("plain", "flat", "long_short")


@dataclass(frozen=True)
class Config:
    """`kernels`: taps of layer 0, 1, ...; the last one holds for all further layers. `dynamic`, `glu`: kind of convolution branch.

    A translator has `layers` layers in each of encoder and decoder. `words` counts the tokens of the vocabulary, `pad` is the one for nothing.
    `length` is the longest sentence in tokens. `kernel_dropout` drops taps of the convolutions.
    """

    words: int
    dim: int = 128
    heads: int = 4
    layers: int = 4
    style: str = "long_short"
    kernels: tuple[int, ...] = (3, 7, 15, 31)
    dynamic: bool = False
    glu: bool = False
    length: int = 256
    pad: int = 0
    dropout: float = 0.0
    kernel_dropout: float = 0.0

    def __post_init__(self):
        object.__setattr__(self, "kernels", tuple(self.kernels))
        if self.style not in STYLES:
            raise TinylibError(f"style must be one of {STYLES}, not {self.style!r}")
        if self.dim % 2 or self.long % self.heads:
            raise TinylibError(f"{self.dim} channels: {self.long} go to attention and do not divide into {self.heads} heads; dim must be even too")
        if not self.kernels or min(self.kernels) < 1:
            raise TinylibError("kernels must name at least one number of taps, each at least 1")

    @property
    def long(self) -> int:
        """Channels that attention sees."""
        return self.dim // 2 if self.style == "long_short" else self.dim

    @property
    def inner(self) -> int:
        """Width inside the feed-forward part."""
        return 4 * self.dim if self.style == "plain" else self.dim

    def taps(self, layer: int) -> int:
        """Taps of a layer's convolution."""
        return self.kernels[min(layer, len(self.kernels) - 1)]


class Mixer(nn.Module):
    """What lets words see words: attention, or attention on the left half of the channels beside convolution on the right half."""

    def __init__(self, config: Config, layer: int, *, causal: bool):
        super().__init__()
        self.long, self.causal = config.long, causal
        self.attention = Attention(config.long, config.heads)
        self.convolution = None
        if config.style == "long_short":
            self.convolution = ConvolutionBranch(config.dim - config.long, config.heads, config.taps(layer), causal=causal, dynamic=config.dynamic,
                                                 glu=config.glu, dropout=config.kernel_dropout)

    def forward(self, x: Tensor, *, keep: Tensor | None = None, generator: torch.Generator | None = None) -> Tensor:
        """(b, n, d) -> (b, n, d)."""
        if self.convolution is None:
            return self.attention(x, keep=keep, causal=self.causal)
        far, near = x.split(self.long, -1)
        return torch.cat([self.attention(far, keep=keep, causal=self.causal), self.convolution(near, keep=keep, generator=generator)], -1)


class Block(nn.Module):
    """Mixer, attention to a source sentence if `cross`, feed-forward; each with a norm before and a sum around."""

    def __init__(self, config: Config, layer: int, *, causal: bool, cross: bool):
        super().__init__()
        self.dropout = config.dropout
        self.norm_mix, self.mix = nn.LayerNorm(config.dim), Mixer(config, layer, causal=causal)
        self.norm_cross = nn.LayerNorm(config.dim) if cross else None
        self.cross = Attention(config.dim, config.heads) if cross else None
        self.norm_inner = nn.LayerNorm(config.dim)
        self.rise, self.fall = nn.Linear(config.dim, config.inner), nn.Linear(config.inner, config.dim)

    def forward(self, x: Tensor, *, keep: Tensor | None = None, source: Tensor | None = None, source_keep: Tensor | None = None,
                generator: torch.Generator | None = None) -> Tensor:
        """(b, n, d) -> (b, n, d)."""
        rate = self.dropout if self.training else 0.0
        x = x + dropout(self.mix(self.norm_mix(x), keep=keep, generator=generator), rate, generator)
        if self.cross is not None:
            x = x + dropout(self.cross(self.norm_cross(x), memory=source, keep=source_keep), rate, generator)
        return x + dropout(self.fall(F.relu(self.rise(self.norm_inner(x)))), rate, generator)


class Words(nn.Module):
    """Token numbers to vectors and back through one table (words, d), plus sines and cosines of the place."""

    def __init__(self, config: Config):
        super().__init__()
        self.length, self.scale = config.length, config.dim**0.5
        self.weight = nn.Parameter(torch.zeros(config.words, config.dim))
        self.register_buffer("places", sinusoids(config.length, config.dim), persistent=False)

    def forward(self, tokens: Tensor) -> Tensor:
        """(b, n) -> (b, n, d)."""
        if tokens.shape[1] > self.length:
            raise TinylibError(f"a sentence of {tokens.shape[1]} tokens; this model reads at most {self.length} (Config.length)")
        return F.embedding(tokens, self.weight) * self.scale + self.places[:tokens.shape[1]]

    def at(self, tokens: Tensor, place: int) -> Tensor:
        """Tokens (b,) that stand at one place: (b, d)."""
        if place >= self.length:
            raise TinylibError(f"place {place}; this model reads at most {self.length} tokens (Config.length)")
        return F.embedding(tokens, self.weight) * self.scale + self.places[place]

    def logits(self, x: Tensor) -> Tensor:
        """(.., d) -> (.., words)."""
        return F.linear(x, self.weight)


class Stack(nn.Module):
    """Blocks and a last norm."""

    def __init__(self, config: Config, *, causal: bool, cross: bool = False):
        super().__init__()
        self.dropout = config.dropout
        self.blocks = nn.ModuleList(Block(config, i, causal=causal, cross=cross) for i in range(config.layers))
        self.norm = nn.LayerNorm(config.dim)

    def forward(self, x: Tensor, *, keep: Tensor | None = None, source: Tensor | None = None, source_keep: Tensor | None = None,
                generator: torch.Generator | None = None) -> Tensor:
        """(b, n, d) -> (b, n, d)."""
        x = dropout(x, self.dropout if self.training else 0.0, generator)
        for block in self.blocks:
            x = block(x, keep=keep, source=source, source_keep=source_keep, generator=generator)
        return self.norm(x)


class LanguageModel(nn.Module):
    """Tokens (b, n) -> logits (b, n, words) of each next token; nothing looks ahead. Padding belongs at the end and needs no mask."""

    def __init__(self, config: Config):
        super().__init__()
        self.config, self.words, self.decoder = config, Words(config), Stack(config, causal=True)

    def forward(self, tokens: Tensor, *, generator: torch.Generator | None = None) -> Tensor:
        return self.words.logits(self.decoder(self.words(tokens), generator=generator))

    def start(self, b: int, *, length: int | None = None) -> State:
        """State before the first token of b texts, for the weights as they are now."""
        return State(self.words, self.decoder, b, length or self.config.length)

    def step(self, tokens: Tensor, state: State) -> Tensor:
        """The next token (b,) of each text -> logits (b, words) of the one after; `state` moves on. Meant for inference mode; nothing is dropped."""
        return state.step(tokens)


class Translator(nn.Module):
    """Source (b, m) and the target so far (b, n) -> logits (b, n, words) of each next target token. One table of words for both languages.

    Padded source tokens (`Config.pad`) are silent; padding of the target belongs at the end.
    """

    def __init__(self, config: Config):
        super().__init__()
        self.config, self.words = config, Words(config)
        self.encoder, self.decoder = Stack(config, causal=False), Stack(config, causal=True, cross=True)

    def forward(self, source: Tensor, target: Tensor, *, generator: torch.Generator | None = None) -> Tensor:
        memory, keep = self.encode(source, generator=generator)
        return self.words.logits(self.decoder(self.words(target), source=memory, source_keep=keep, generator=generator))

    def encode(self, source: Tensor, *, generator: torch.Generator | None = None) -> tuple[Tensor, Tensor]:
        """What the decoder looks at (b, m, d), and which of it is real (b, m)."""
        keep = source != self.config.pad
        return self.encoder(self.words(source), keep=keep, generator=generator), keep

    def start(self, source: Tensor, *, length: int | None = None) -> State:
        """State before the first target token; the source is read here."""
        memory, keep = self.encode(source)
        return State(self.words, self.decoder, len(source), length or self.config.length, memory, keep)

    def step(self, tokens: Tensor, state: State) -> Tensor:
        """As `LanguageModel.step`, for target tokens (b,)."""
        return state.step(tokens)


def sinusoids(length: int, dim: int) -> Tensor:
    """Places as (length, dim): sines in the first half of the channels, cosines in the second, wavelengths from 2 pi to 20,000 pi."""
    rates = 10_000.0 ** (-torch.arange(dim // 2, dtype=torch.float64) / max(dim // 2 - 1, 1))
    angles = torch.arange(length, dtype=torch.float64)[:, None] * rates
    return torch.cat([angles.sin(), angles.cos()], 1).float()


def build(config: Config, *, translate: bool = False, generator: torch.Generator) -> LanguageModel | Translator:
    """A model with weights drawn from `generator`; torch's global random state stays as it was. Float32, training mode."""
    with torch.random.fork_rng(devices=[]):
        model = (Translator if translate else LanguageModel)(config)
    initialise(model, generator)
    with torch.no_grad():
        model.words.weight.copy_(torch.randn(model.words.weight.shape, generator=generator) * config.dim**-0.5)
        for module in model.modules():
            if isinstance(module, ConvolutionBranch) and not module.dynamic:
                module.kernel.copy_(torch.randn(module.kernel.shape, generator=generator))
    return model


def lite_transformer(*, translate: bool, config: dict) -> LanguageModel | Translator:
    """The model of a checkpoint from plain numbers (`arguments` gives them); its weights are to be loaded."""
    return build(Config(**config), translate=translate, generator=torch.Generator().manual_seed(0))


def arguments(model: LanguageModel | Translator) -> dict:
    """Arguments of `lite_transformer` that make a model of this shape."""
    return {"translate": isinstance(model, Translator), "config": asdict(model.config)}
