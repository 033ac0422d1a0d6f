"""From a model that gives the next token to whole sentences: the likeliest token each time, beam search, drawing.

A model is a function `step(tokens (b,), state) -> logits (b, words)` and a state with `reorder(index)`; see
`tinylib.text.lite_transformer`. Sentences begin with the token `begin`, which is not part of the result.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from tinylib.core.errors import TinylibError

Step = Callable[[Tensor, object], Tensor]


@dataclass(frozen=True)
class Hypothesis:
    """Tokens without `begin` and `end`; `score` is their log-probability, the end included, over (tokens + 1)^alpha."""

    tokens: tuple[int, ...]
    score: float


@torch.inference_mode()
def greedy(step: Step, state: object, *, sentences: int, begin: int, end: int, length: int) -> list[tuple[int, ...]]:
    """The likeliest next token, again and again: at most length - 1 tokens for each sentence, then `end`."""
    last, rows = torch.full((sentences,), begin), []
    ended = torch.zeros(sentences, dtype=torch.bool)
    while len(rows) < length - 1 and not ended.all():
        last = step(last, state).argmax(-1)
        ended |= last == end
        rows.append(last.masked_fill(ended, end))
    table = torch.stack(rows, 1).tolist() if rows else [[]] * sentences
    return [tuple(row[:row.index(end)] if end in row else row) for row in table]


@torch.inference_mode()
def beam_search(step: Step, state: object, *, sentences: int, width: int, begin: int, end: int, length: int, alpha: float = 1.0) -> list[Hypothesis]:
    """The best sentence found with `width` beginnings kept at each length; width 1 is `greedy`. At most `length` tokens with the end.

    Scores are log p / (number of tokens with the end)^alpha: 0 favours short sentences, 1 compares the mean of a token. An end counts when it is
    among the `width` best continuations; a sentence is finished when `width` of its beginnings have ended, or when no living one can win any more.
    """
    if width < 1 or length < 1 or alpha < 0:
        raise TinylibError(f"width {width} and length {length} must be at least 1, alpha {alpha} at least 0")
    best: list[Hypothesis | None] = [None] * sentences
    count, live = [0] * sentences, torch.arange(sentences)
    state.reorder(live.repeat_interleave(width))
    scores = torch.full((sentences, width), float("-inf"))
    scores[:, 0] = 0.0                                          # all beginnings are the same at first: only one may grow
    words = torch.full((sentences, width, 1), begin)
    for t in range(1, length + 1):
        logits = step(words[:, :, -1].flatten(), state)
        value, parent, token = continuations(scores, logits.log_softmax(-1).unflatten(0, (-1, width)), only=end if t == length else None)
        ended = token == end
        for i, j in (ended[:, :width] & value[:, :width].isfinite()).nonzero().tolist():
            name, score = int(live[i]), value[i, j].item() / t**alpha
            count[name] += 1
            if best[name] is None or score > best[name].score:
                best[name] = Hypothesis(tuple(words[i, parent[i, j], 1:].tolist()), score)
        scores, chosen = value.masked_fill(ended, float("-inf")).topk(width)
        parent, token = parent.gather(1, chosen), token.gather(1, chosen)
        hope = (scores[:, 0] / length**alpha).tolist()
        going = torch.tensor([best[n] is None or (count[n] < width and hope[i] > best[n].score) for i, n in enumerate(live.tolist())], dtype=torch.bool)
        if t == length or not going.any():
            break
        rows = torch.arange(len(live))[:, None]
        words = torch.cat([words[rows, parent], token[..., None]], 2)[going]
        _follow(state, (rows * width + parent)[going].flatten(), len(live) * width)
        scores, live = scores[going], live[going]
    return best


def continuations(scores: Tensor, log_probabilities: Tensor, *, only: int | None = None) -> tuple[Tensor, Tensor, Tensor]:
    """The 2 x width best next steps of each sentence, best first: (score, beginning it continues, token), each (b, 2 x width).

    `scores` (b, width), `log_probabilities` (b, width, words). Twice the width, since a token may be the end for each beginning. `only`: the one
    token that is allowed.
    """
    total = scores[..., None] + log_probabilities
    if only is not None:
        kept = total[..., only].clone()
        total = torch.full_like(total, float("-inf"))
        total[..., only] = kept
    value, flat = total.flatten(1).topk(2 * scores.shape[1])
    return value, flat // total.shape[2], flat % total.shape[2]


@torch.inference_mode()
def sample(step: Step, state: object, prompt: Tensor, *, length: int, temperature: float = 1.0, generator: torch.Generator) -> Tensor:
    """Texts (b, n + length): the `prompt` (b, n), read token by token, then tokens drawn from softmax(logits / temperature)."""
    if prompt.shape[1] < 1 or temperature <= 0:
        raise TinylibError("drawing needs a prompt of at least one token and a temperature above 0")
    for t in range(prompt.shape[1]):
        logits = step(prompt[:, t], state)
    drawn = []
    for _ in range(length):
        drawn.append(torch.multinomial((logits / temperature).softmax(-1), 1, generator=generator)[:, 0])
        if len(drawn) < length:
            logits = step(drawn[-1], state)
    return torch.cat([prompt, *(token[:, None] for token in drawn)], 1)


def _follow(state: object, index: Tensor, rows: int) -> None:
    if len(index) != rows or not torch.equal(index, torch.arange(rows)):
        state.reorder(index)
