"""`tinylib data`: remakes or verifies data sets, checkpoints and records."""

HELP = "remake or verify data, checkpoints and records"


def add_arguments(parser):
    """What to do, and with what."""
    parser.add_argument("action", choices=("make", "verify"), help="make: run the recipe; verify: compare the hash with the card")
    parser.add_argument("name", nargs="?", metavar="NAME", help="a data set (garments) or SLUG-NAME (pruning-garments-half); verify without one: all")


def run(args) -> int:
    """Make one thing, or verify one or all."""
    from tinylib.core.errors import TinylibError
    if args.action == "verify":
        return verify(args.name)
    if not args.name:
        raise TinylibError("Make what? For example: tinylib data make garments")
    find_maker(args.name)()
    return 0


def verify(name: str | None) -> int:
    """Compare hashes; 1 when a file is damaged."""
    from tinylib.core.errors import TinylibError
    from tinylib.core.paths import data_dir
    from tinylib.course.cards import card_problems, read_cards
    cards = [card for card in read_cards(data_dir()) if name in (None, card.name)]
    if name and not cards:
        raise TinylibError(f"Nothing named {name!r} in {data_dir()}.")
    found = [problem for card in cards for problem in card_problems(card)]
    print("\n".join(found) or f"{len(cards)} file(s) as their cards say.")
    return 1 if found else 0


def find_maker(name: str):
    """The function that makes `name`: `make` of a data set's module, or a function of data/recipes/<slug>.py."""
    import importlib
    from importlib.util import find_spec

    from tinylib.core.errors import TinylibError
    from tinylib.core.paths import project_root
    from tinylib.course.cards import recipe_function
    if name.isidentifier() and find_spec(f"tinylib.datasets.{name}"):
        maker = getattr(importlib.import_module(f"tinylib.datasets.{name}"), "make", None)
        if maker:
            return maker
    slug, dash, function = name.partition("-")
    maker = recipe_function(project_root() / "data" / "recipes" / f"{slug}.py", function.replace("-", "_")) if dash else None
    if maker is None:
        raise TinylibError(f"Nothing makes {name!r}: neither a data set of that name nor a recipe in data/recipes/{slug}.py.")
    return maker
