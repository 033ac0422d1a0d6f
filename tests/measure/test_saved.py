"""Bytes saved for backward, counted by hand."""

import torch
from torch import nn

from tinylib.measure.saved import saved_by_model, saved_bytes

X = torch.randn(2, 3, 8, 8)
INPUT = 2 * 3 * 64 * 4
HIDDEN = 2 * 4 * 64 * 4


def test_chain_by_hand():
    """First convolution saves the input; ReLU and the second convolution save the same tensor, once."""
    model = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 5, 3, padding=1))
    saved = saved_by_model(model, X)
    assert saved.bytes == INPUT + HIDDEN and len(saved.tensors) == 2
    assert saved_bytes(lambda: model(X), exclude=[*model.parameters(), X]).bytes == HIDDEN


def test_sigmoid_saves_its_output_and_the_convolution_its_input():
    model = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.SiLU(), nn.Conv2d(4, 5, 3, padding=1))
    assert saved_by_model(model, X).bytes == INPUT + 2 * HIDDEN     # SiLU keeps its input, the next convolution SiLU's output


def test_counting_without_storage_identity_is_seen():
    model = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.Conv2d(4, 5, 3, padding=1))
    naive = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: naive.append(t.nbytes) or t, lambda t: t):
        model(X)
    assert sum(naive) > saved_by_model(model, X).bytes


def test_frozen_layers_below_save_nothing():
    model = nn.Sequential(nn.Conv2d(3, 4, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(256, 2))
    model[0].requires_grad_(False)
    assert saved_by_model(model, X).bytes == HIDDEN


def test_a_view_counts_its_whole_storage():
    big = torch.randn(10, 10)
    weight = torch.ones(10, requires_grad=True)
    assert saved_bytes(lambda: (big[0] * weight).sum(), exclude=[weight]).bytes == 400


def test_no_gradient_no_bytes():
    model = nn.Linear(4, 4).requires_grad_(False)
    assert saved_by_model(model, torch.randn(2, 4)).bytes == 0
