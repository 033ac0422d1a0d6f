"""What a language model or a translator is trained and judged on: rows of tokens, losses for `nn.fit`, log-probabilities, translations."""

from collections.abc import Iterator, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from tinylib.core.errors import TinylibError
from tinylib.text.decode import beam_search, greedy
from tinylib.text.tokens import BEGIN, END, PAD, padded

Sentence = Sequence[int]


def windows(texts: Sequence[Sentence], n: int) -> Tensor:
    """Rows (r, n + 1) of tokens: each text with BEGIN in front, cut so that every token is predicted once, at most n tokens a row; PAD at the end.

    A row's first token is the last one of the row before it: it is given, not predicted.
    """
    if n < 1:
        raise TinylibError("a window holds at least one token")
    whole = [[BEGIN, *text] for text in texts]
    rows = [row[i:i + n + 1] for row in whole for i in range(0, len(row) - 1, n)]
    return F.pad(table := padded(rows), (0, n + 1 - table.shape[1]), value=PAD)


def next_token_loss(model: nn.Module, tokens: Tensor, following: Tensor) -> Tensor:
    """Mean cross-entropy in nats of the `following` tokens (b, n), padding left out; a loss for `nn.fit`."""
    return F.cross_entropy(model(tokens).flatten(0, 1), following.flatten(), ignore_index=PAD)


@torch.inference_mode()
def log_probabilities(model: nn.Module, rows: Tensor, *, batch: int = 32) -> Tensor:
    """Natural log-probability of every real token of `rows` (r, n + 1) but the first of each; in eval mode, the model's mode is put back."""
    training, parts = model.training, []
    model.eval()
    for part in rows.split(batch):
        logp = model(part[:, :-1]).log_softmax(-1).gather(2, part[:, 1:, None])[..., 0]
        parts.append(logp[part[:, 1:] != PAD])
    model.train(training)
    return torch.cat(parts)


class PairBatches:
    """Batches (source (b, m), target (b, n + 1) between BEGIN and END) of sentences of like length, in a new order each time they are gone through."""

    def __init__(self, source: Sequence[Sentence], target: Sequence[Sentence], *, batch: int, generator: torch.Generator):
        if len(source) != len(target) or not source:
            raise TinylibError(f"{len(source)} source and {len(target)} target sentences; they come in pairs")
        self.source, self.target, self.batch, self.generator = [[*s, END] for s in source], [[BEGIN, *t, END] for t in target], batch, generator

    def __len__(self) -> int:
        return -(-len(self.source) // self.batch)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        noise = torch.rand(len(self.source), generator=self.generator).tolist()
        order = sorted(range(len(self.source)), key=lambda i: len(self.source[i]) + len(self.target[i]) + 4 * noise[i])
        for start in torch.randperm(len(self), generator=self.generator).tolist():
            chosen = order[start * self.batch:(start + 1) * self.batch]
            yield padded([self.source[i] for i in chosen]), padded([self.target[i] for i in chosen])


def translation_loss(generator: torch.Generator | None = None, smoothing: float = 0.0):
    """A loss for `nn.fit` on `PairBatches`; `generator` draws the model's dropout."""
    def loss(model: nn.Module, source: Tensor, target: Tensor) -> Tensor:
        logits = model(source, target[:, :-1], generator=generator)
        return F.cross_entropy(logits.flatten(0, 1), target[:, 1:].flatten(), ignore_index=PAD, label_smoothing=smoothing)

    return loss


def translate(model: nn.Module, sentences: Sequence[Sentence], *, beam: int = 1, length: int = 60, batch: int = 64) -> list[tuple[int, ...]]:
    """Translations of source sentences (without END), at most length - 1 tokens each; `beam` 1 is greedy."""
    order = sorted(range(len(sentences)), key=lambda i: len(sentences[i]))
    found: dict[int, tuple[int, ...]] = {}
    for start in range(0, len(order), batch):
        chosen = order[start:start + batch]
        with torch.inference_mode():
            state = model.start(padded([[*sentences[i], END] for i in chosen]), length=length)
        common = {"sentences": len(chosen), "begin": BEGIN, "end": END, "length": length}
        out = greedy(model.step, state, **common) if beam == 1 else [h.tokens for h in beam_search(model.step, state, width=beam, **common)]
        found.update(zip(chosen, out))
    return [found[i] for i in range(len(sentences))]
