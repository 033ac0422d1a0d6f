"""The gate for every exercise of every lab, found by their files: right answers pass; stub, typical wrong answers, a recorder and cheats fail."""

import ast
import copy
import functools
import importlib
import importlib.util
import inspect
import re
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from tinylib.check.facts import plain_facts, size_of
from tinylib.check.learner import learner_rng
from tinylib.check.run import Run, run_instances
from tinylib.check.verdict import expected_facts, verdict, verify_answer

ROOT = Path(__file__).resolve().parents[1]
SLUGS = sorted(p.stem for p in (ROOT / "tinylib/exercises").glob("*.py") if p.stem != "__init__")
LABS = {re.sub(r"^\d+_", "", p.stem): p for p in sorted((ROOT / "solutions").glob("[0-9]*_*.py"))}
LEARNERS = ("demo", "another learner", "a third one")
SECONDS = 60.0      # the gate asks what is right, not how fast this machine is


def declared(slug):
    return importlib.import_module(f"tinylib.exercises.{slug}")


EXERCISES = {e.id: e for slug in SLUGS for e in declared(slug).EXERCISES}
QUESTIONS = {q.id: q for slug in SLUGS for q in getattr(declared(slug), "QUESTIONS", ())}
every_exercise = pytest.mark.parametrize("id", EXERCISES)
every_question = pytest.mark.parametrize("id", QUESTIONS)


@functools.cache
def beside(folder, slug, name):
    """The table `name` of solutions/<folder>/<slug>.py, which is loaded by path as the judge does."""
    path = ROOT / "solutions" / folder / f"{slug}.py"
    assert path.is_file(), f"{path.relative_to(ROOT)} is missing: it holds {name} = {{'{slug}.name': ...}}"
    spec = importlib.util.spec_from_file_location(f"solutions_{folder}_{slug}", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return getattr(module, name)


def visible(exercise, learner="demo"):
    return exercise.instances(learner_rng(learner, exercise.id))


def hidden(exercise, learner="demo"):
    table = beside("hidden", exercise.id.split(".")[0], "INSTANCES")
    assert exercise.id in table, f"solutions/hidden has no instances for {exercise.id}"
    return table[exercise.id](learner_rng(learner + " hidden", exercise.id))


def all_sets(exercise):
    """Visible instances of three learners, and the private ones."""
    return [visible(exercise, who) for who in LEARNERS] + [hidden(exercise)]


def judged(exercise, fn, instances, seconds=SECONDS):
    report = run_instances(exercise.harness, fn, instances, seconds)
    return verdict(exercise, instances, report.runs, report.output)


def explain(result):
    failure = result.failure
    return f"{result.id}: {result.sentence} ({failure.property if failure else ''}; case {failure.args if failure else ''})"


def test_every_lab_declares_its_exercises():
    """An empty gate would pass in silence: a lab without exercises, or a cell that names none, is an error."""
    missing = sorted(set(LABS) - set(SLUGS))
    assert not missing, f"labs without tinylib/exercises/<slug>.py: {missing}"
    for slug, path in LABS.items():
        named = set(re.findall(r'^# %%.*\bexercise="([^"]+)"', path.read_text(encoding="utf-8"), re.MULTILINE))
        declared_here = {id for id in EXERCISES if id.split(".")[0] == slug}
        assert named == declared_here, f"{path.name}: cells name {sorted(named)}, declared are {sorted(declared_here)}"
        assert named, f"{path.name} has no exercise"


@every_exercise
def test_it_is_declared_in_full(id):
    exercise = EXERCISES[id]
    slug, name = id.split(".")
    assert id in {e.id for e in declared(slug).EXERCISES}, f"{id} is declared in another lab's file"
    assert (exercise.harness.__module__, exercise.harness.__name__) == (f"tinylib.exercises.harness.{slug}", name)
    assert exercise.points > 0 and exercise.minutes > 0 and exercise.properties
    assert len(exercise.hints) == 3 and all(len(h) > 10 for h in exercise.hints)
    assert len(exercise.misconceptions) >= 2, "name two typical wrong answers"
    names = [p.name for p in exercise.properties]
    assert len(set(names)) == len(names), f"two properties with one name: {names}"


@every_exercise
def test_instances_are_plain_and_small_first(id):
    for instances in all_sets(EXERCISES[id]):
        assert len(instances) >= 3, "fewer than three cases"
        sizes = [size_of(args) for args in instances]
        assert sizes == sorted(sizes), f"not small to large: {sizes}; use sorted(..., key=tinylib.check.facts.size_of)"
        for args in instances:
            assert_plain(args)


def assert_plain(value, name="args"):
    """Data that travels as JSON and npz: no tensors, tuples, numpy scalars or objects."""
    if isinstance(value, dict):
        assert all(type(k) is str for k in value), f"{name}: a key is no text"
        for key, entry in value.items():
            assert_plain(entry, f"{name}[{key!r}]")
    elif type(value) is list:
        for entry in value:
            assert_plain(entry, f"{name}[...]")
    elif type(value) is np.ndarray:
        assert value.dtype.kind in "biufc", f"{name} has dtype {value.dtype}"
    else:
        assert value is None or type(value) in (bool, int, float, str), f"{name} is a {type(value).__name__}: not plain data"


@every_exercise
def test_reference_agrees_with_the_oracle(id):
    exercise = EXERCISES[id]
    for instances in all_sets(exercise):
        result = judged(exercise, exercise.reference, instances)
        assert result.passed, explain(result)


@every_exercise
def test_a_second_right_answer_passes(id):
    exercise = EXERCISES[id]
    alternatives = beside("alternatives", id.split(".")[0], "ALTERNATIVES")
    assert id in alternatives, f"solutions/alternatives has no second answer for {id}"
    assert alternatives[id] is not exercise.reference
    for instances in all_sets(exercise):
        result = judged(exercise, alternatives[id], instances)
        assert result.passed, explain(result)


@every_exercise
def test_stub_fails_quietly(id):
    exercise = EXERCISES[id]
    result = judged(exercise, as_asked(exercise, stub), visible(exercise))
    assert (result.status, result.kind) == ("not yet", "not started"), explain(result)


@every_exercise
def test_misconceptions_fail_and_are_recognised(id):
    exercise = EXERCISES[id]
    for wrong in exercise.misconceptions:
        for learner in LEARNERS:
            result = judged(exercise, wrong.function, visible(exercise, learner))
            assert not result.passed, f"{id}: the misconception {wrong.function.__name__} passes for {learner}"
            assert result.misconception == wrong.sentence, (
                f"{id}: {wrong.function.__name__} is taken for another misconception, or for none: {result.misconception!r}")
        assert not judged(exercise, wrong.function, hidden(exercise)).passed, f"{id}: {wrong.function.__name__} passes the private instances"


@every_exercise
def test_a_recorder_of_the_visible_instances_fails(id):
    """Whoever knows all facts of the visible instances by heart passes those only."""
    exercise = EXERCISES[id]
    seen = visible(exercise)
    recorded = [(copy.deepcopy(a), facts_of_reference(exercise, a)) for a in seen]
    assert replay(exercise, recorded, seen).passed
    for instances in (visible(exercise, LEARNERS[1]), visible(exercise, LEARNERS[2]), hidden(exercise)):
        assert not replay(exercise, recorded, instances).passed, f"{id}: the visible answers by heart pass other instances"


def facts_of_reference(exercise, args):
    return plain_facts(exercise.harness(exercise.reference, copy.deepcopy(args)))


def replay(exercise, recorded, instances):
    """Verdict on facts by heart; for an unknown instance the facts of one with the same shapes, else of the largest."""
    def facts(args):
        equal = [f for a, f in recorded if key(a) == key(args)]
        alike = [f for a, f in recorded if shapes(a) == shapes(args)]
        return (equal or alike or [recorded[-1][1]])[0]

    return verdict(exercise, instances, tuple(Run("facts", facts(a)) for a in instances))


def key(value):
    if isinstance(value, np.ndarray):
        return (value.shape, str(value.dtype), value.tobytes())
    if isinstance(value, dict):
        return tuple((k, key(v)) for k, v in sorted(value.items()))
    return tuple(map(key, value)) if isinstance(value, list) else repr(value)


def shapes(value):
    if isinstance(value, np.ndarray):
        return value.shape
    if isinstance(value, dict):
        return tuple((k, shapes(v)) for k, v in sorted(value.items()))
    return type(value).__name__


class AlwaysEqual:
    """Equal to everything, true, callable, and full of itself."""

    __hash__ = None

    def __eq__(self, other):
        return True

    __call__ = __getitem__ = __add__ = __mul__ = lambda self, *args, **kwargs: self
    __len__ = __index__ = lambda self: 1
    __iter__ = lambda self: iter([self])

    def __float__(self):
        return 1.0

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        return self


def stub(*args, **kwargs):
    raise NotImplementedError


def nothing(*args, **kwargs):
    return None


def always_equal(*args, **kwargs):
    return AlwaysEqual()


def leaves(*args, **kwargs):
    raise SystemExit(0)


def gives_back(*args, **kwargs):
    return args[0] if args else next(iter(kwargs.values()), None)


def patches(*args, **kwargs):
    for module in (np, np.testing, torch, torch.testing):
        for name in ("allclose", "array_equal", "isclose", "equal", "all", "assert_allclose", "assert_close", "isfinite"):
            if hasattr(module, name):
                setattr(module, name, lambda *a, **k: True)
    return gives_back(*args, **kwargs)


CHEATS = (nothing, always_equal, leaves, gives_back, patches)


def as_asked(exercise, function):
    """The cheat as a function, or as a class all of whose methods are the cheat."""
    if not inspect.isclass(exercise.reference):
        return function

    def init(self, *args, **kwargs):
        if function is stub:
            raise NotImplementedError

    return type("Cheat", (), {"__init__": init, "__call__": lambda self, *a, **k: function(*a, **k),
                              "__getattr__": lambda self, name: lambda *a, **k: function(*a, **k)})


@every_exercise
@pytest.mark.parametrize("cheat", CHEATS, ids=lambda c: c.__name__)
def test_cheats_fail(id, cheat):
    exercise, allclose = EXERCISES[id], np.allclose
    for instances in (visible(exercise), hidden(exercise)):
        assert not judged(exercise, as_asked(exercise, cheat), instances, seconds=2.0).passed
    assert np.allclose is allclose, "the patch stayed behind"


@pytest.mark.parametrize("slug", SLUGS)
def test_harness_is_self_contained(slug):
    """The judge's worker has numpy, torch, the standard library, scipy and what the lab's exercises need; nothing else."""
    path = ROOT / f"tinylib/exercises/harness/{slug}.py"
    assert path.is_file(), f"{path.relative_to(ROOT)} is missing"
    needs = {n for e in EXERCISES.values() if e.id.split(".")[0] == slug for n in e.needs}
    foreign = foreign_imports(path.read_text(encoding="utf-8"), needs)
    assert not foreign, f"{path.name} imports {sorted(foreign)}"


def foreign_imports(source, needs=frozenset()):
    names = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            names |= {a.name for a in node.names}
        elif isinstance(node, ast.ImportFrom):
            names.add(node.module or ".")
    allowed = {"numpy", "torch", "scipy", *sys.stdlib_module_names}
    return {n for n in names if n.split(".")[0] not in allowed and n not in needs}


def test_a_foreign_import_is_seen():
    assert foreign_imports("from tinylib.prune.magnitude import mask\nimport numpy.linalg, os") == {"tinylib.prune.magnitude"}
    assert not foreign_imports("from tinylib.nn.layers import conv", {"tinylib.nn.layers"})


@every_exercise
def test_oracle_is_repeatable(id):
    """The oracle draws nothing and keeps nothing: twice on the same instance gives the same facts, and the instance stays as it was."""
    exercise = EXERCISES[id]
    for args in visible(exercise)[:3]:
        before = key(args)
        assert key(expected_facts(exercise, args)) == key(expected_facts(exercise, args))
        exercise.oracle(args)
        assert key(args) == before, "the oracle changes its instance"


@every_question
def test_questions_can_be_asked_and_refuse_nonsense(id):
    question = QUESTIONS[id]
    assert question.kind in ("quiz", "decision", "prediction") and question.points >= 0
    for learner in LEARNERS:
        item = question.ask(learner_rng(learner, id))
        assert item.prompt and item.explain
        if question.kind == "prediction":
            continue
        for nonsense in (None, "", "no such answer", AlwaysEqual(), [], {}, float("nan")):
            assert verify_answer(item, nonsense), f"{id} takes {type(nonsense).__name__} for an answer"
        if item.choices:
            right = [letter for letter, _ in item.choices if verify_answer(item, letter) is None]
            assert len(right) == 1, f"{id}: right answers {right}"

