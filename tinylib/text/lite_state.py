"""A Lite Transformer in the middle of its sentences: what each layer remembers, and one step for the next token.

At one token a step, calls cost more than products. So a state binds the weights once, at the start, and each step is a short row of
torch calls on memory that is already there. Every part has `step(x)` for the next token and `reorder(index)` for beam search.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class BlockState:
    """A causal `Block` that reads its sentences token by token; `source` (b, m, d) with `keep` (b, m) is what its cross attention looks at."""

    def __init__(self, block: nn.Module, b: int, length: int, source: Tensor | None, keep: Tensor | None):
        mix = block.mix
        self.norm_mix, self.norm_inner = bound(block.norm_mix), bound(block.norm_inner)
        self.inner = block.rise.weight, block.rise.bias, block.fall.weight, block.fall.bias
        self.long, self.far = mix.long, mix.attention.start(b, length)
        self.near = None if mix.convolution is None else mix.convolution.start(b)
        self.source, self.norm_source = None, None
        if block.cross is not None:
            self.source, self.norm_source = block.cross.look(source, keep), bound(block.norm_cross)

    def step(self, x: Tensor) -> Tensor:
        """The next token (b, d) -> (b, d)."""
        x = x + self._mix(torch.layer_norm(x, *self.norm_mix))
        if self.source is not None:
            x = x + self.source.step(torch.layer_norm(x, *self.norm_source))
        rise, rise_bias, fall, fall_bias = self.inner
        return x + F.linear(F.linear(torch.layer_norm(x, *self.norm_inner), rise, rise_bias).relu_(), fall, fall_bias)

    def reorder(self, index: Tensor) -> None:
        """Row i goes on from what row index[i] was."""
        for part in (self.far, self.near, self.source):
            if part is not None:
                part.reorder(index)

    def _mix(self, x: Tensor) -> Tensor:
        if self.near is None:
            return self.far.step(x)
        far, near = x.narrow(1, 0, self.long), x.narrow(1, self.long, x.shape[1] - self.long)
        return torch.cat([self.far.step(far), self.near.step(near)], 1)


class State:
    """A model that reads its sentences token by token, with the weights as they were at the start. `position` counts the tokens read."""

    def __init__(self, words: nn.Module, stack: nn.Module, b: int, length: int, source: Tensor | None = None, keep: Tensor | None = None):
        self.words, self.norm, self.position = words, bound(stack.norm), 0
        self.blocks = [BlockState(block, b, length, source, keep) for block in stack.blocks]

    def step(self, tokens: Tensor) -> Tensor:
        """The next token (b,) of each sentence -> logits (b, words) of the one after."""
        x = self.words.at(tokens, self.position)
        for block in self.blocks:
            x = block.step(x)
        self.position += 1
        return self.words.logits(torch.layer_norm(x, *self.norm))

    def reorder(self, index: Tensor) -> None:
        """Sentence i goes on from what was sentence index[i]; repeated and missing rows are fine (beam search)."""
        for block in self.blocks:
            block.reorder(index)


def bound(norm: nn.LayerNorm) -> tuple:
    """What torch.layer_norm needs besides x."""
    return norm.normalized_shape, norm.weight, norm.bias, norm.eps
