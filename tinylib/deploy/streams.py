"""Constants of an operator in the order in which its C code reads them: biases, packed weights, multiplier, rounding term and shift.

The input's zero point is folded into the bias; the output's zero point and the rounding half into one term, so that scaling is
`saturate(high32(acc * m) + r >> s)`. With high32 the low word is dropped before the term is added; for shifts of 33 and more that changes no
bit, since the term has no bits down there: floor((p + h * 2**32) / 2**s) = (floor(p / 2**32) + h) >> (s - 32).
"""

import numpy as np

from tinylib.quantize.graph import QOp, QTensor

WIDE_BYTES = 16_384      # linear layers up to this size take twice their bytes of flash and a third fewer instructions

def is_fast(op: QOp) -> bool:
    """Whether every shift lets `high32` be used and keeps the rounding term within 31 bits."""
    return bool((op.shift >= 33).all() and (op.shift <= 53).all())


def scaling(op: QOp, index: int, zero_point: int) -> list[int]:
    """m, r, s of one channel as the C code wants them (r is not used and s not reduced when the operator is not `is_fast`)."""
    m, s = int(op.multiplier[index]), int(op.shift[index])
    if not is_fast(op):
        return [m, 0, s]
    return [m, (1 << (s - 33)) + (zero_point << (s - 32)), s - 32]


def folded_bias(op: QOp, zero_point: int) -> np.ndarray:
    """int64 biases that take raw inputs instead of `x - zero_point`."""
    return op.bias.astype(np.int64) - zero_point * op.weight.astype(np.int64).reshape(len(op.weight), -1).sum(1)


def channel_groups(channels: int, group: int) -> list[int]:
    """Channels per tile: pairs for several pixels, fours for one, the rest last."""
    wide = 4 if group == 1 else 2
    return [wide] * (channels // wide) + ([channels % wide] if channels % wide else [])


def is_wide(op: QOp) -> bool:
    """Whether weights are stored as int16: small linear layers, where each weight is used once and extending it would cost as much as its MAC."""
    return op.kind == "linear" and op.weight.size <= WIDE_BYTES


def dense_stream(op: QOp, x: QTensor, y: QTensor, group: int) -> np.ndarray:
    """Words (uint32) of a convolution or linear layer: per tile its biases, its weights four by four, its scaling."""
    flat = op.weight.reshape(len(op.weight), -1)
    blocks = -(-flat.shape[1] // 4)
    packed = np.zeros((len(flat), 4 * blocks), np.int8)
    packed[:, :flat.shape[1]] = flat
    words = packed.view("<u4")
    if is_wide(op):
        words = packed.reshape(len(flat), -1, 4)[:, :, [0, 2, 1, 3]].astype("<i2", order="C").reshape(len(flat), -1).view("<u4")
    bias, out, first = folded_bias(op, x.zero_point), [], 0
    for n in channel_groups(len(flat), group):
        here = range(first, first + n)
        blockwise = words[first:first + n].reshape(n, blocks, -1).transpose(1, 0, 2)
        out += [bias[first:first + n].astype(np.int32).view(np.uint32), blockwise.reshape(-1)]
        out.append(np.array([scaling(op, i, y.zero_point) for i in here], np.int64).astype(np.int32).view(np.uint32).reshape(-1))
        first += n
    return np.concatenate(out)


def tap_words(kernel: int, stride: int, dilation: int) -> tuple[list[tuple[int | None, int | None]], list[list[tuple[str, int, int]]]]:
    """How a row of taps is multiplied in pairs.

    Returns the weight words of a row as (low tap, high tap), and for two neighbouring outputs the instructions (name, input word, weight word):
    an output whose tap t lies in an even column takes taps t and t + 1 in one SMLAD, others one by one.
    """
    words: list[tuple[int | None, int | None]] = []
    plans = []
    for output in (0, 1):
        steps, t = [], 0
        while t < kernel:
            position = output * stride + t * dilation
            if position % 2 == 0 and t + 1 < kernel and dilation == 1:
                if (t, t + 1) not in words:
                    words.append((t, t + 1))
                steps.append(("pair", position // 2, (t, t + 1)))
                t += 2
            else:
                steps.append(("BT"[position % 2], position // 2, t))
                t += 1
        plans.append(steps)
    for steps in plans:
        for name, _, tap in steps:
            if name != "pair" and not any(tap in w for w in words):
                words.append((tap, None))
    return words, [[_instruction(name, place, tap, words) for name, place, tap in steps] for steps in plans]


def _instruction(name, place, tap, words):
    if name == "pair":
        return "SMLAD", place, words.index(tap)
    word = next(i for i, w in enumerate(words) if tap in w)
    return f"SMLA{name}{'BT'[words[word].index(tap)]}", place, word


def depthwise_stream(op: QOp, x: QTensor, y: QTensor) -> np.ndarray:
    """Words (uint32) of a depth-wise convolution: per channel bias, m, r, s, then the weight words of each kernel row."""
    words, _ = tap_words(op.kernel[1], op.stride[1], op.dilation[1])
    weight = np.concatenate([op.weight.astype(np.int64), np.zeros((*op.weight.shape[:2], 1), np.int64)], axis=2)
    low, high = ([-1 if w[i] is None else w[i] for w in words] for i in (0, 1))
    pairs = (weight[:, :, low] & 0xFFFF) | ((weight[:, :, high] & 0xFFFF) << 16)
    head = np.array([[b, *scaling(op, i, y.zero_point)] for i, b in enumerate(folded_bias(op, x.zero_point))], np.int64) & 0xFFFFFFFF
    return np.concatenate([head, pairs.reshape(len(pairs), -1)], axis=1).astype(np.uint32).reshape(-1)
