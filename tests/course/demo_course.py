"""Sources of a tiny course: one lab `demo` with an exercise, a panel and two questions."""

SOURCE = '''\
# ---
# title: A demonstration
# minutes: 5
# prerequisites: none
# systems: Doubling, Halving
# passport: no
# ---

# %% [markdown]
# # Doubling
#
# A short text.

# %%
from tinylib.course.lab import answer, check, panel, predict, ready, reveal, start
start("demo")

# %%
predict("demo.guess", 7)  ### SOLUTION: None

# %% exercise="demo.twice"
def twice(x):
    """Two times x."""
    ### BEGIN SOLUTION
    doubled_value = x + x
    return doubled_value
    ### END SOLUTION

# %% check="demo.twice" points=3
check("demo.twice", twice)

# %%
# NBVAL_CHECK_OUTPUT
double = ready("demo.twice", twice)
print(double(21))

# %%
panel("demo.line", {"demo.twice": twice})

# %% volatile=true
reveal("demo.guess", 8)

# %%
answer("demo.quiz.1", "b")  ### SOLUTION: None

# %% [markdown] reason="demo.decide.reason" points=2
# Why? Write two sentences.
'''

EXERCISES = '''\
"""Exercises of the demonstration."""

from tinylib.check.exercise import Exercise, Property
from tinylib.check.question import Item, Question
from tinylib.exercises.harness.demo import twice as run_twice


def twice(x):
    """Reference."""
    return 2 * x


def equal(args, got, expected):
    """Whether the value is right."""
    return None if got["value"] == expected["value"] else "the value is not twice x"


EXERCISES = (Exercise("demo.twice", 3, 2, run_twice, lambda rng: [{"x": 1}, {"x": 5}], lambda args: {"value": sum([args["x"]] * 2)},
                      (Property("twice", equal),), (), ("a", "b", "c"), twice),)
QUESTIONS = (
    Question("demo.guess", "prediction", 1, lambda rng: Item("How much?", lambda v: None, "It is eight.")),
    Question("demo.quiz.1", "quiz", 1, lambda rng: Item("Which?", lambda v: None if v == "b" else "no", "b is right", (("a", "one"), ("b", "two")))),
)
'''

HARNESS = '''\
"""Harness of the demonstration."""


def twice(fn, args):
    """Facts of one call."""
    return {"value": fn(args["x"])}
'''

PANEL = '''\
"""Panel of the demonstration."""

from tinylib.show.panel import Panel, Slider


def draw(figure, record):
    """One bar."""
    axes = figure.add_subplot()
    axes.bar(["y"], [record["y"]])
    axes.set(title=f"y is {record['y']}", xlabel="what", ylabel="value (px)")


PANELS = (Panel("demo.line", (Slider("x", "width (px)", (1, 2, 3), 2),), lambda params, functions: {"y": functions["demo.twice"](params["x"])},
                draw, lambda record: f"The value is {record['y']}.", ("demo.twice",)),)
'''
