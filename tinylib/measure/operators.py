"""How many MACs an aten operator does. A table: operator name -> function of its arguments and result.

Convention: 1 MAC is one multiply and one add. Products with padding zeros are counted, as dense kernels do them. Biases,
norms, activations, pools and softmax do arithmetic but no MAC; they are *known* to cost zero here, by name or by torch's
own tags. An operator that is in no table is reported as unknown, never counted as zero in silence.
"""

from collections.abc import Callable
from math import prod

import torch


def convolution(args: tuple, out: torch.Tensor) -> int:
    """b * k * output positions * (c / groups) * kernel positions; a transposed one walks over input positions instead."""
    x, weight, transposed = args[0], args[1], args[6]
    positions = x.shape[2:] if transposed else out.shape[2:]
    # weight (k, c / groups, *kernel), transposed (c, k / groups, *kernel): numel is the MACs per position either way
    return x.shape[0] * prod(positions) * weight.numel()


def product(left: torch.Tensor, right: torch.Tensor) -> int:
    """(.., n, m) @ (.., m, p): every element of the left meets p elements of the right."""
    return left.numel() * (right.shape[-1] if right.dim() > 1 else 1)


def attention(args: tuple, out: object) -> int:
    """q @ k^T and probabilities @ v. q (b, heads, t, d), k (b, heads, s, d), v (b, heads, s, e)."""
    q, k, v = args[:3]
    return prod(q.shape[:-1]) * k.shape[-2] * (q.shape[-1] + v.shape[-1])


def recurrent(args: tuple, out: object) -> int:
    """One LSTM or GRU layer over (t, b, c): both weight matrices meet each step of each sample."""
    x, w_in, w_hidden = args[:3]
    return x.shape[0] * x.shape[1] * (w_in.numel() + w_hidden.numel())


MACS: dict[str, Callable[[tuple, object], int]] = {
    "convolution": convolution,
    "_convolution": convolution,
    "mm": lambda a, out: product(a[0], a[1]),
    "bmm": lambda a, out: product(a[0], a[1]),
    "mv": lambda a, out: product(a[0], a[1]),
    "dot": lambda a, out: product(a[0], a[1]),
    "vdot": lambda a, out: product(a[0], a[1]),
    "linear": lambda a, out: a[0].numel() * a[1].shape[0],
    "addmm": lambda a, out: product(a[1], a[2]),
    "addmv": lambda a, out: product(a[1], a[2]),
    "addbmm": lambda a, out: product(a[1], a[2]),
    "baddbmm": lambda a, out: product(a[1], a[2]),
    "_scaled_dot_product_flash_attention_for_cpu": attention,
    "_scaled_dot_product_flash_attention": attention,
    "_scaled_dot_product_efficient_attention": attention,
    "_scaled_dot_product_fused_attention_overrideable": attention,
    "mkldnn_rnn_layer": recurrent,
}

# Element by element, though torch does not tag them so.
ELEMENTWISE = frozenset("""
    native_batch_norm _native_batch_norm_legit _native_batch_norm_legit_no_training _batch_norm_no_update native_dropout
    hardswish _prelu_kernel log_sigmoid_forward rrelu_with_noise
""".split())
# Known to do no MAC and not tagged pointwise or reduction by torch. A trailing underscore (in place) is dropped first.
FREE = frozenset("""
    cudnn_batch_norm batch_norm_elemt _batch_norm_with_update native_layer_norm native_group_norm _fused_rms_norm
    max_pool2d_with_indices max_pool3d_with_indices max_pool1d avg_pool1d avg_pool2d avg_pool3d adaptive_max_pool2d
    adaptive_max_pool3d _adaptive_avg_pool2d _adaptive_avg_pool3d max_unpool2d
    _softmax _log_softmax softmax log_softmax cumsum cumprod logsumexp _safe_softmax
    mean sum amax amin max min argmax argmin any all prod var std var_mean std_mean norm linalg_vector_norm median
    cat stack copy clone _to_copy _to_dense contiguous index index_select index_put _unsafe_index _unsafe_index_put gather scatter scatter_add
    scatter_reduce index_add masked_fill masked_scatter masked_select nonzero where embedding embedding_bag _embedding_bag one_hot repeat roll flip
    rot90 tril triu constant_pad_nd reflection_pad1d reflection_pad2d replication_pad1d replication_pad2d pixel_shuffle pixel_unshuffle
    channel_shuffle unfold im2col col2im _unsafe_view unsafe_split unsafe_split_with_sizes unsafe_chunk slice_scatter select_scatter
    upsample_nearest1d upsample_nearest2d upsample_nearest3d upsample_linear1d upsample_bilinear2d upsample_bicubic2d
    _upsample_nearest_exact2d grid_sampler_2d
    sort topk unique _unique2 unique_consecutive searchsorted bucketize bincount histc kthvalue
    zeros zeros_like ones ones_like empty empty_like empty_strided new_empty new_empty_strided new_zeros new_ones new_full
    full full_like arange linspace eye scalar_tensor
    lift_fresh lift_fresh_copy fill zero rand randn randint rand_like randn_like randperm normal uniform bernoulli
    _local_scalar_dense item equal is_nonzero broadcast_tensors meshgrid set detach resize
    fractional_max_pool2d fractional_max_pool3d nll_loss_forward nll_loss2d_forward
    glu _thnn_fused_lstm_cell _thnn_fused_gru_cell
""".split())
FREE_TAGS = {torch.Tag.pointwise, torch.Tag.reduction} if hasattr(torch.Tag, "reduction") else {torch.Tag.pointwise}

def name_of(func: torch._ops.OpOverload) -> str:
    """Plain operator name: "aten::add_.Tensor" -> "add"; an operator of another namespace keeps it: "mine::op"."""
    space, _, name = func._schema.name.partition("::")
    name = name.rstrip("_") if space == "aten" else func._schema.name
    return name


def macs_of(func: torch._ops.OpOverload, args: tuple, out: object) -> int | None:
    """MACs of one call, or None when the operator is unknown."""
    name = name_of(func)
    if name in MACS:
        return MACS[name](args, out)
    if name in FREE or name in ELEMENTWISE or func.is_view or FREE_TAGS & set(func.tags):
        return 0
    return None


def is_elementwise(func: torch._ops.OpOverload) -> bool:
    """Whether each output element needs only the element at its own place, so that the output may overwrite an input."""
    return torch.Tag.pointwise in func.tags or name_of(func) in ELEMENTWISE
