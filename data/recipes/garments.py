"""The network of the first labs: GarmentNet trained on garments."""

import time

import torch

from tinylib.core.checkpoint import save_checkpoint
from tinylib.core.seed import generator
from tinylib.datasets import garments
from tinylib.nn.fit import evaluate, fit
from tinylib.nn.models import build

EPOCHS, SEED = 9, 0


def flip(x, generator):
    """Mirror half of the images of a batch left to right."""
    mirrored = torch.rand(len(x), generator=generator) < 0.5
    return torch.where(mirrored[:, None, None, None], x.flip(3), x)


def base():
    """Train `garments-base` (about two minutes of CPU) and save it."""
    torch.set_num_threads(1)
    start = time.process_time()
    data = garments.load()
    model = build("garment_net", generator=generator(SEED, "weights")).to(memory_format=torch.channels_last)
    images, labels = data.train.tensors()
    fit(model, (images.contiguous(memory_format=torch.channels_last), labels), epochs=EPOCHS, lr=0.1, batch=128, weight_decay=3e-4,
        generator=generator(SEED, "order"), augment=flip,
        on_step=lambda s: s.index % 133 == 0 and print(f"step {s.index}/{s.total} loss {s.loss:.3f}", flush=True))
    metrics = {"val_accuracy": evaluate(model, data.val.tensors()), "test_accuracy": evaluate(model, data.test.tensors())}
    save_checkpoint("garments-base", model.state_dict(), factory="tinylib.nn.models:garment_net", arguments={},
                    recipe="tinylib data make garments-base", seed=SEED, seconds=time.process_time() - start, metrics=metrics)
    print(metrics, f"{time.process_time() - start:.0f} s")


if __name__ == "__main__":
    base()
