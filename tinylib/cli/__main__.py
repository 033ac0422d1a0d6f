"""`tinylib VERB ...`: the verbs are the files of this folder, and only the one that is called is imported."""

import argparse
import ast
import importlib
import sys
from pathlib import Path

from tinylib.core.errors import TinylibError

FOLDER = Path(__file__).parent


def verbs() -> dict[str, str]:
    """Verb -> its one-line help, read from the files without importing them. Dashes stand for underscores."""
    return {path.stem.replace("_", "-"): help_of(path) for path in sorted(FOLDER.glob("[a-z]*.py"))}


def help_of(path: Path) -> str:
    """The literal HELP of a verb's file."""
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", None) == "HELP":
            return ast.literal_eval(node.value)
    return ""


def main(argv: list[str] | None = None) -> int:
    """Run one verb; 0 when all is well, 1 for a problem told in one sentence, 2 for a wrong call."""
    argv = sys.argv[1:] if argv is None else argv
    known = verbs()
    parser = argparse.ArgumentParser(prog="tinylib", description="Efficient deep learning, lab by lab.")
    commands = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    for verb, text in known.items():
        command = commands.add_parser(verb, help=text, description=text)
        if verb in argv:
            module(verb).add_arguments(command)
    args = parser.parse_args(argv)
    try:
        return module(args.verb).run(args)
    except TinylibError as error:
        print(f"tinylib {args.verb}: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:
        return 1


def module(verb: str):
    """The verb's module."""
    return importlib.import_module(f"tinylib.cli.{verb.replace('-', '_')}")


if __name__ == "__main__":
    sys.exit(main())
