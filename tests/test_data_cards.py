"""Everything in data/: each file has a card with source and licence or recipe, hashes hold, and the whole stays small."""

import pytest

from tinylib.cli.data import find_maker
from tinylib.core.errors import TinylibError
from tinylib.core.paths import data_dir
from tinylib.course.cards import card_problems, read_cards, without_card

CARDS = read_cards(data_dir())
MAX_BYTES = 60_000_000
MAKE = "tinylib data make "
every_card = pytest.mark.parametrize("card", CARDS, ids=lambda card: card.name)


def incomplete(card) -> list[str]:
    """What a card lacks: a data set needs its source, licence and kind; a network or a record how it was made."""
    wanted = ("source", "licence", "kind", "made") if card.path.parent.name in ("sets", "share_alike") else ("recipe", "seed", "seconds")
    return [f"{card.path.name} lacks {field}" for field in wanted if card.fields.get(field) in (None, "")]


def test_no_file_is_without_a_card():
    assert without_card(data_dir(), CARDS) == []


def test_data_stays_small():
    assert sum(path.stat().st_size for path in data_dir().rglob("*") if path.is_file() and "__pycache__" not in path.parts) <= MAX_BYTES


def test_names_are_unique():
    assert len({card.name for card in CARDS}) == len(CARDS)


@every_card
def test_a_file_is_what_its_card_says(card):
    assert card_problems(card) + incomplete(card) == []


@every_card
def test_a_card_names_a_recipe_that_exists(card):
    assert card.fields["recipe"].startswith(MAKE)
    assert callable(find_maker(card.fields["recipe"].removeprefix(MAKE).split()[0]))


@every_card
def test_share_alike_sets_stand_apart(card):
    licence = card.fields.get("licence", "").lower()
    alike = any(word in licence for word in ("-sa", "sharealike", "share alike", "gpl", "odbl"))
    assert alike == (card.path.parent.name == "share_alike")


def test_an_unknown_recipe_is_told():
    for name in ("nonsense", "nonsense-thing", "pruning-nonsense", ""):
        with pytest.raises(TinylibError, match="Nothing makes"):
            find_maker(name)
