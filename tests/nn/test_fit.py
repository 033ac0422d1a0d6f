"""Training learns, repeats under a seed, tells its steps; statistics of batch norm are exact for unequal batches."""

import math
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from tinylib.core.errors import TinylibError
from tinylib.nn import fit as module
from tinylib.nn.fit import distillation, distillation_loss, evaluate, fit, predict_logits, recalibrate_bn


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def blobs(n=200):
    labels = torch.arange(n) % 2
    return torch.randn(n, 4, generator=seeded()) + 2.0 * labels[:, None], labels


def linear():
    model = nn.Linear(4, 2)
    nn.init.zeros_(model.weight)
    nn.init.zeros_(model.bias)
    return model


@pytest.mark.parametrize("optimiser", ["sgd", "adam"])
def test_fit_learns_and_repeats(optimiser):
    models = [linear(), linear()]
    histories = [fit(m, blobs(), epochs=3, lr=0.05, batch=20, generator=seeded(5), optimiser=optimiser) for m in models]
    assert histories[0] == histories[1] and histories[0][-1] < histories[0][0]
    assert torch.equal(models[0].weight, models[1].weight)
    assert evaluate(models[0], blobs()) > 0.85 and not models[0].training


def test_steps_are_told_and_the_rate_follows_a_cosine():
    steps = []
    fit(linear(), blobs(), epochs=2.5, lr=1.0, batch=20, generator=seeded(), warmup=0.0, on_step=steps.append)
    assert [s.index for s in steps] == list(range(25)) and steps[0].total == 25
    assert all(math.isclose(s.lr, 0.5 * (1 + math.cos(math.pi * s.index / 25))) for s in steps)


def test_one_plain_step_is_gradient_descent():
    x, y = blobs(20)
    model, weight = linear(), torch.zeros(2, 4, requires_grad=True)
    F.cross_entropy(x @ weight.t(), y).backward()
    fit(model, [(x, y)], epochs=1, lr=0.1, generator=seeded(), momentum=0.0, weight_decay=0.0, warmup=0.0)
    assert torch.allclose(model.weight, -0.1 * weight.grad, atol=1e-7)


def test_a_mask_can_be_kept_from_on_step():
    model = linear()
    mask = torch.tensor([[1.0, 0, 1, 0], [0, 1, 0, 1]])
    fit(model, blobs(), epochs=1, lr=0.1, generator=seeded(), batch=20, on_step=lambda s: model.weight.data.mul_(mask))
    assert torch.equal(model.weight != 0, mask.bool())


def test_only_the_named_parameters_move():
    model = linear()
    fit(model, blobs(), epochs=1, lr=0.1, generator=seeded(), batch=20, parameters=[model.bias])
    assert not model.weight.any() and model.bias.any()


def test_nothing_to_train_is_an_error():
    model = linear().requires_grad_(False)
    with pytest.raises(TinylibError, match="nothing to train"):
        fit(model, blobs(), epochs=1, lr=0.1, generator=seeded())


def test_a_generator_of_batches_without_length_is_an_error():
    with pytest.raises(TinylibError, match="length"):
        fit(linear(), (b for b in [blobs()]), epochs=1, lr=0.1, generator=seeded())


def test_evaluate_counts_examples_not_batches():
    model = linear()
    model.bias.data[0] = 1.0            # always says 0
    batches = [(torch.zeros(3, 4), torch.zeros(3, dtype=torch.long)), (torch.zeros(1, 4), torch.ones(1, dtype=torch.long))]
    assert evaluate(model, batches) == 0.75
    with pytest.raises(TinylibError, match="at least one"):
        evaluate(model, [])


def test_logits_put_the_mode_back():
    model = nn.Sequential(nn.Linear(4, 2), nn.Dropout(0.5))
    model[1].eval()
    predict_logits(model.train(), torch.zeros(3, 4), batch=2)
    assert model.training and model[1].training


def test_distillation_loss_by_hand():
    logits, target, t = torch.tensor([[1.0, 0.0]]), torch.tensor([[0.0, 2.0]]), 2.0
    q, p = [math.exp(v) / (math.exp(0.5) + 1) for v in (0.5, 0.0)], [v / (1 + math.e) for v in (1.0, math.e)]
    by_hand = t**2 * sum(b * (math.log(b) - math.log(a)) for a, b in zip(q, p, strict=True))
    assert math.isclose(distillation_loss(logits, target, t).item(), by_hand, rel_tol=1e-5)
    assert not math.isclose(distillation_loss(target, logits, t).item(), by_hand, rel_tol=1e-2)     # planted bug: the two swapped


def test_distillation_pulls_the_student_to_the_teacher():
    teacher, student = linear(), linear()
    teacher.weight.data.copy_(torch.randn(2, 4, generator=seeded()))
    fit(student, blobs(), epochs=20, lr=0.5, batch=50, generator=seeded(), loss=distillation(teacher, weight=1.0), weight_decay=0.0)
    x = blobs()[0]
    assert (student(x).softmax(1) - teacher(x).softmax(1)).abs().max() < 0.05


def conv_net():
    torch.manual_seed(0)
    return nn.Sequential(nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3), nn.ReLU())


def test_recalibrated_statistics_equal_those_of_all_examples_at_once():
    model, x = conv_net(), torch.randn(25, 2, 6, 6, generator=seeded()) * 3 + 1
    recalibrate_bn(model, x.split([10, 10, 5]))
    y = model[0](x).double().transpose(0, 1).flatten(1)
    assert torch.allclose(model[1].running_mean.double(), y.mean(1), atol=1e-6)
    assert torch.allclose(model[1].running_var.double(), y.var(1), rtol=1e-6)
    mean_of_means = torch.stack([model[0](p).mean((0, 2, 3)) for p in x.split([10, 10, 5])]).mean(0)    # planted bug: batches count alike
    assert not torch.allclose(model[1].running_mean, mean_of_means, atol=1e-4)


def test_one_batch_equals_pytorch_with_momentum_one():
    x = torch.randn(8, 2, 6, 6, generator=seeded())
    ours, theirs = conv_net(), conv_net()
    recalibrate_bn(ours, [x])
    theirs[1].momentum = 1.0
    theirs.train()(x)
    assert torch.allclose(ours[1].running_var, theirs[1].running_var, rtol=1e-5)


def test_recalibration_leaves_all_else_as_it_was():
    model = conv_net().train()
    model[1].momentum = 0.3
    recalibrate_bn(model, [torch.randn(4, 2, 6, 6, generator=seeded())])
    assert model[1].momentum == 0.3 and model[1].num_batches_tracked == 0 and model.training and not model[1]._forward_pre_hooks
    with pytest.raises(TinylibError, match="at least one"):
        recalibrate_bn(model, [])


def test_the_module_draws_nothing_and_seeds_nothing():
    source = Path(module.__file__).read_text()
    assert "manual_seed" not in source and "tqdm" not in source
