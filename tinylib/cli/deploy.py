"""A trained network in, a folder of C for one board out."""

HELP = "turn a network into C for a microcontroller and check it in emulation"


def add_arguments(parser):
    """Arguments of `tinylib deploy`."""
    parser.add_argument("factory", help="package.module:function that returns the network (a torch module)")
    parser.add_argument("--weights", required=True, help="safetensors file with its state")
    parser.add_argument("--calibrate", required=True, help="npz with float32 `images` (n, c, h, w) as the network sees them; sets the ranges")
    parser.add_argument("--board", required=True, help="name of a board in data/boards/")
    parser.add_argument("--out", default="deployed", help="folder to write (default: deployed)")
    parser.add_argument("--head", choices=["argmax", "softmax"], default=None, help="append an integer argmax or softmax")
    parser.add_argument("--vectors", type=int, default=8, help="self-check vectors taken from the calibration pictures (default 8)")


def run(args) -> int:
    """Write the folder and print its report."""
    from pathlib import Path

    from tinylib.deploy.boards import load_board
    from tinylib.deploy.package import write_package
    from tinylib.quantize.convert import quantise_input, quantize_model

    board = load_board(args.board)
    model, images = load_network(args.factory, Path(args.weights)), load_images(Path(args.calibrate))
    graph = quantize_model(model, images, head=args.head)
    made = write_package(graph, board, quantise_input(graph, images[:max(1, args.vectors)]), Path(args.out))
    print(made.report)
    print(f"Written: {made.folder}")
    return 0


def load_network(factory: str, weights):
    """The factory's network with the state of a safetensors file, in eval mode."""
    import importlib

    from safetensors.torch import load_file

    from tinylib.core.errors import TinylibError

    module, _, name = factory.partition(":")
    try:
        build = getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise TinylibError(f"No factory {factory!r}: {error}. Write package.module:function.") from None
    if not weights.is_file():
        raise TinylibError(f"No weights at {weights}.")
    model = build()
    try:
        model.load_state_dict(load_file(weights))
    except Exception as error:
        raise TinylibError(f"{weights} does not hold the state of {factory}: {error}") from None
    return model.eval()


def load_images(path):
    """Calibration pictures, float32 (n, c, h, w)."""
    import numpy as np
    import torch

    from tinylib.core.errors import TinylibError

    if not path.is_file():
        raise TinylibError(f"No calibration pictures at {path}.")
    try:
        with np.load(path) as arrays:
            images = arrays["images"]
    except (KeyError, ValueError, OSError) as error:
        raise TinylibError(f"{path} is not an npz with an array 'images': {error}") from None
    if images.ndim != 4 or not np.issubdtype(images.dtype, np.floating):
        raise TinylibError(f"'images' must be float (n, c, h, w), got {images.dtype} {images.shape}.")
    return torch.from_numpy(images.astype(np.float32))
