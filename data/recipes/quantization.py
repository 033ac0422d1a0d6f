"""Networks, records and claims of the lab `quantization`."""

import time

import torch

from tinylib.core.checkpoint import save_checkpoint
from tinylib.core.seed import generator
from tinylib.datasets import garments
from tinylib.nn.fit import evaluate, fit
from tinylib.nn.models import build

EPOCHS = 9      # as in the recipe of garments-base, which is seed 0


def flip(x, generator):
    """Mirror half of the images of a batch left to right."""
    mirrored = torch.rand(len(x), generator=generator) < 0.5
    return torch.where(mirrored[:, None, None, None], x.flip(3), x)


def train(seed: int) -> None:
    """Train `quantization-seed<seed>` as garments-base was trained (about two minutes of CPU)."""
    torch.set_num_threads(1)
    start = time.process_time()
    data = garments.load()
    model = build("garment_net", generator=generator(seed, "weights")).to(memory_format=torch.channels_last)
    images, labels = data.train.tensors()
    fit(model, (images.contiguous(memory_format=torch.channels_last), labels), epochs=EPOCHS, lr=0.1, batch=128, weight_decay=3e-4,
        generator=generator(seed, "order"), augment=flip)
    metrics = {"val_accuracy": evaluate(model, data.val.tensors()), "test_accuracy": evaluate(model, data.test.tensors())}
    name = f"quantization-seed{seed}"
    save_checkpoint(name, model.state_dict(), factory="tinylib.nn.models:garment_net", arguments={}, recipe=f"tinylib data make {name}",
                    seed=seed, seconds=time.process_time() - start, metrics=metrics)
    print(name, metrics, f"{time.process_time() - start:.0f} s", flush=True)


def seed1():
    train(1)


def seed2():
    train(2)


def seed3():
    train(3)


def seed4():
    train(4)
