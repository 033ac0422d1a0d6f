"""Text to token numbers and back: byte-pair encoding trained here with the library `tokenizers`, kept as JSON.

The pieces are made of bytes, so any text comes back exactly, and no character is unknown. Numbers 0 to 2 are special.
Paper: Sennrich, Haddow, Birch, ACL 2016.
"""

import json
import math
import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from torch import Tensor

from tinylib.core.errors import TinylibError

PAD, BEGIN, END = 0, 1, 2
SPECIAL = ("[pad]", "[begin]", "[end]")


class Tokens:
    """A trained vocabulary; `len(tokens)` counts its numbers. The library's own numbers begin at 0, ours after the special ones."""

    def __init__(self, tokenizer: Tokenizer):
        self.tokenizer = tokenizer

    def __len__(self) -> int:
        return self.tokenizer.get_vocab_size() + len(SPECIAL)

    def encode(self, text: str, *, ends: bool = False) -> list[int]:
        """Numbers of a text, with `ends` between BEGIN and END. No text stands for a special token."""
        numbers = [n + len(SPECIAL) for n in self.tokenizer.encode(text).ids]
        return [BEGIN, *numbers, END] if ends else numbers

    def decode(self, numbers: Iterable[int]) -> str:
        """The text of numbers; special ones say nothing."""
        return self.tokenizer.decode([int(n) - len(SPECIAL) for n in numbers if int(n) >= len(SPECIAL)])

    def piece(self, number: int) -> str:
        """How one token reads (bytes that are no whole character show as the replacement character)."""
        return SPECIAL[number] if number < len(SPECIAL) else self.tokenizer.decode([number - len(SPECIAL)])

    def save(self, path: Path) -> None:
        """Write JSON."""
        path.write_text(json.dumps(json.loads(self.tokenizer.to_str()), ensure_ascii=False, sort_keys=True) + "\n", encoding="utf-8")


def train_tokens(texts: Iterable[str], size: int) -> Tokens:
    """A vocabulary of `size` numbers: 3 special ones, 256 bytes, and the most frequent merges in `texts`. The same texts give the same one."""
    smallest = len(SPECIAL) + 256
    if size < smallest:
        raise TinylibError(f"a vocabulary of {size}; it needs at least {smallest} (special tokens and all bytes)")
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer, tokenizer.decoder = pre_tokenizers.ByteLevel(add_prefix_space=False), decoders.ByteLevel()
    pieces = trainers.BpeTrainer(vocab_size=size - len(SPECIAL), show_progress=False, initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()))
    with _one_thread():
        tokenizer.train_from_iterator(texts, pieces)
    return Tokens(tokenizer)


def load_tokens(path: Path) -> Tokens:
    """What `save` wrote."""
    try:
        return Tokens(Tokenizer.from_str(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise TinylibError(f"no vocabulary at {path}") from error
    except Exception as error:                      # the library raises its errors as plain Exception
        raise TinylibError(f"{path.name} is not a vocabulary written by Tokens.save") from error


def padded(sentences: Sequence[Sequence[int]]) -> Tensor:
    """Lists of numbers as one int64 tensor (b, longest), PAD at the end."""
    longest = max(map(len, sentences), default=0)
    return torch.tensor([[*s, *[PAD] * (longest - len(s))] for s in sentences], dtype=torch.int64).view(len(sentences), longest)


def bits_per_character(log_probabilities: Tensor, characters: int) -> float:
    """-sum(ln p) / (ln 2 x characters), for the natural log-probability of each token of a text of so many characters.

    Comparable between vocabularies, unlike the loss of a token.
    """
    if characters < 1:
        raise TinylibError("bits per character needs a text of at least one character")
    return -log_probabilities.double().sum().item() / (math.log(2) * characters)


@contextmanager
def _one_thread() -> Iterator[None]:
    """The library warns on the terminal when a process forks after it used threads; so it uses none."""
    name, before = "TOKENIZERS_PARALLELISM", os.environ.get("TOKENIZERS_PARALLELISM")
    os.environ[name] = "false"
    try:
        yield
    finally:
        if before is None:
            del os.environ[name]
        else:
            os.environ[name] = before
