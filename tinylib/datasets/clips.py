"""Clips: real garments in synthetic motion, eight frames of 24 x 24; every clip's reversal belongs to another class.

Eight classes in four reversed pairs: left/right, up/down, grow/shrink, turn left/turn right. A network that averages over frames sees the
same pictures in both classes of a pair. Made in memory from `garments`: nothing is shipped.
"""

import numpy as np
from scipy.ndimage import affine_transform

from tinylib.core.errors import TinylibError
from tinylib.datasets import garments
from tinylib.datasets.files import Split, Splits

CLASSES = ("left", "right", "up", "down", "grow", "shrink", "turn left", "turn right")
FRAMES, SIDE = 8, 24


def reversed_label(label: int) -> int:
    """The class of the same clip played backwards."""
    return label ^ 1


def render(image: np.ndarray, label: int, rng: np.random.Generator, *, noise: float = 0.05) -> np.ndarray:
    """Clip uint8 (t, h, w) of one garment (28 x 28) moving as its class says; place, size, angle and reach are drawn."""
    return animate(image, path_of(label, rng), rng, noise=noise)


def path_of(label: int, rng: np.random.Generator) -> np.ndarray:
    """Where the garment is in each frame of a clip of a class: (t, 4) of right, down (pixels from the centre), size, turn (radians)."""
    forward = np.linspace(-1, 1, FRAMES) * rng.uniform(0.8, 1.2)
    pace = forward if label % 2 else -forward
    x, y, size, angle = rng.uniform(-1.5, 1.5), rng.uniform(-1.5, 1.5), rng.uniform(0.5, 0.62), rng.uniform(-0.35, 0.35)
    motion = {      # what changes over the clip: (right, down, size, turn), played forwards for the odd class of each pair
        0: lambda p: (x + 5.5 * p, y, size, angle), 1: lambda p: (x, y + 5.5 * p, size, angle),
        2: lambda p: (x, y, size * (1 - 0.45 * p), angle), 3: lambda p: (x, y, size, angle + 1.1 * p),
    }[label // 2]
    return np.array([motion(p) for p in pace])


def animate(image: np.ndarray, path: np.ndarray, rng: np.random.Generator, *, noise: float = 0.05) -> np.ndarray:
    """Clip uint8 (t, h, w) of one garment (28 x 28) at the places of a path (t, 4), with noise as in every clip."""
    frames = np.stack([placed(image, *place) for place in path])
    return ((frames + rng.normal(0, noise, frames.shape)).clip(0, 1) * 255).astype(np.uint8)


def placed(image: np.ndarray, right: float, down: float, size: float, turn: float) -> np.ndarray:
    """The image in [0, 1], turned by `turn` radians (clockwise on screen), scaled, and moved from the centre of a SIDE x SIDE frame."""
    cos, sin = np.cos(turn) / size, np.sin(turn) / size
    back = np.array([[cos, -sin], [sin, cos]])          # from a place (row, column) in the frame to one in the image
    centre = np.array([(SIDE - 1) / 2 + down, (SIDE - 1) / 2 + right])
    return affine_transform(image / 255.0, back, (np.array(image.shape) - 1) / 2 - back @ centre, output_shape=(SIDE, SIDE), order=1)


def make_split(images: np.ndarray, count: int, rng: np.random.Generator) -> Split:
    """`count` clips, as many of each class as of any other, each from a garment drawn from `images`; uint8 (n, t, h, w)."""
    if count % len(CLASSES):
        raise TinylibError(f"the number of clips must be a multiple of {len(CLASSES)}, not {count}")
    labels = rng.permutation(np.arange(count) % len(CLASSES)).astype(np.uint8)
    picked = images[rng.integers(len(images), size=count)]
    return Split(np.stack([render(image, int(label), rng) for image, label in zip(picked, labels)]), labels)


def load(*, train: int = 2_400, val: int = 800, test: int = 1_600, seed: int = 0) -> Splits:
    """Splits of clips made now (about two seconds), each from its own split of `garments`: no garment is in two of them."""
    source = garments.load()
    rngs = np.random.default_rng(seed).spawn(3)
    parts = (make_split(part.images, n, r) for part, n, r in zip((source.train, source.val, source.test), (train, val, test), rngs))
    return Splits(*parts, CLASSES, "synthetic motion of real photographs")
