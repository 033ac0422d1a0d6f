"""The card that puts a prediction beside the result."""

import numpy as np

from tinylib.check import card as cards
from tinylib.check.card import Card
from tinylib.check.facts import is_number
from tinylib.check.question import Item


def reveal_card(id: str, item: Item, prediction, truth, unit: str = "") -> Card:
    """Prediction beside `truth` (number or text); says so when there was no prediction."""
    truth = truth.item() if isinstance(truth, np.generic) or (isinstance(truth, np.ndarray) and truth.ndim == 0) else truth
    truth = truth.item() if type(truth).__module__ == "torch" and getattr(truth, "ndim", 1) == 0 else truth
    shown = f"Result: {_words(item, truth, unit)}."
    if prediction is None:
        sentences = ["You made no prediction here. The next one is worth a guess: it is what makes the result stick.", shown]
    else:
        sentences = [f"Your prediction: {_words(item, prediction, unit)}.", shown, distance(prediction, truth)]
    return cards.card("note", "result", id, [item.prompt, *sentences, item.explain], data={"id": id, "revealed": True})


def _words(item, value, unit) -> str:
    for letter, text in item.choices:
        if value == letter:
            return f"{letter}, {text}"
    text = f"{value:.4g}" if isinstance(value, float) else str(value)
    return f"{text} {unit}".rstrip()


def distance(prediction, truth) -> str:
    """How far off, as a factor where both numbers have one sign, else as a difference; "" where neither makes sense."""
    if not (is_number(prediction) and is_number(truth)) or isinstance(prediction, bool) or isinstance(truth, complex):
        return "That is right." if prediction == truth else "That is not what came out."
    if prediction == truth:
        return "Exactly right."
    if not prediction * truth > 0:
        return f"You were off by {abs(prediction - truth):.3g}."
    factor = max(prediction / truth, truth / prediction)
    direction = "high" if abs(prediction) > abs(truth) else "low"
    return "Within 10 % of the result." if factor <= 1.1 else f"Too {direction} by a factor of {factor:.3g}."
