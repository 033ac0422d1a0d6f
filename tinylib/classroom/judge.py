"""Grades one submission: private instances from a class secret, the learner's code in a sandbox, the verdict here."""

import hashlib
import hmac
import importlib.util
import json
import secrets
import time
from dataclasses import asdict, dataclass, field
from functools import cache
from pathlib import Path

import numpy as np

from tinylib.check import find, run, verdict
from tinylib.check.exercise import Exercise
from tinylib.check.learner import learner_rng
from tinylib.classroom.answers import Answers, literal
from tinylib.classroom.assignment import Assignment, Part
from tinylib.classroom.sandbox import Level, Limits, Sandbox, SandboxLost
from tinylib.core.errors import TinylibError
from tinylib.core.paths import project_root

BUILTIN_ERRORS = frozenset(name for name, value in vars(__import__("builtins")).items() if isinstance(value, type) and issubclass(value, BaseException))
RUN_KINDS = ("facts", "error", "not started", "time", "value")
VERSION = 1
DECIDES = ("answers", "assignment", "confine", "judge", "sandbox", "wire", "worker")      # our modules that decide a grade; others only tell of it


@dataclass(frozen=True)
class Course:
    """What all gradings of a class share. `secret` seeds the private instances; `hidden_dir` holds more of them."""

    secret: str
    level: Level
    hidden_dir: Path | None = None
    limits: Limits = field(default_factory=Limits)


@dataclass
class Score:
    """One part. `kind`: "passed", "wrong", "partly", "not started", "error", "time", "value", "unanswered", "missing" or "by hand".

    `broken`: names of the properties that failed; `groups`: group -> held; `sentence`: safe to show to the learner.
    """

    id: str
    kind: str
    points: float
    max_points: float
    sentence: str = ""
    misconception: str = ""
    broken: list = field(default_factory=list)
    held: list = field(default_factory=list)
    groups: dict = field(default_factory=dict)
    answer: str = ""                # short hash of the answer, for the comparison of submissions
    seconds: float = 0.0


@dataclass
class Result:
    """A graded submission."""

    learner: str
    slug: str
    scores: list
    notes: list
    level: str
    kind: str = "notebook"
    mib: int = 0

    @property
    def points(self) -> float:
        """Points of the machine-graded parts."""
        return round(sum(s.points for s in self.scores), 6)

    def to_json(self) -> str:
        """As text; `from_json` reads it."""
        return json.dumps(asdict(self), sort_keys=True, ensure_ascii=False)

    @staticmethod
    def from_json(text: str) -> "Result":
        """The result that `to_json` wrote."""
        data = json.loads(text)
        return Result(**data | {"scores": [Score(**s) for s in data["scores"]]})


def new_secret() -> str:
    """A secret for a class."""
    return secrets.token_hex(32)


def seeded(secret: str, *names: str) -> np.random.Generator:
    """Generator that only the holder of the class secret can foresee."""
    digest = hmac.new(secret.encode(), "\n".join(names).encode(), hashlib.sha256).digest()
    return np.random.default_rng(int.from_bytes(digest[:16], "big"))


@cache
def hidden(folder: Path, slug: str) -> dict:
    """INSTANCES of `<slug>.py` in the class's folder of private instances; {} where there is none."""
    path = folder / f"{slug}.py"
    if not path.is_file():
        return {}
    spec = importlib.util.spec_from_file_location(f"hidden_instances_{slug}", path)
    module = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        raise TinylibError(f"{path} cannot be read ({type(error).__name__}: {error}).") from error
    return module.INSTANCES


def private_instances(exercise: Exercise, course: Course, learner: str) -> list[dict]:
    """The public kinds of instances with secret seeds, then the class's own."""
    slug = exercise.id.partition(".")[0]
    made = list(exercise.instances(seeded(course.secret, learner, exercise.id, "public kinds")))
    more = hidden(course.hidden_dir or project_root() / "solutions" / "hidden", slug).get(exercise.id)
    return made + (list(more(seeded(course.secret, learner, exercise.id, "private kinds"))) if more else [])


def judge(answers: Answers, assignment: Assignment, course: Course) -> Result:
    """Grade one submission. Never raises for anything that a learner handed in."""
    scores, mib = {}, 0
    exercises = [p for p in assignment.parts if p.kind == "exercise"]
    todo = [p for p in exercises if _worth_running(answers, p)]
    if todo:
        scores, mib = _judge_code(todo, answers, assignment, course)
    rows = [scores.get(p.id) or _without_running(p, answers) for p in assignment.by_machine]
    return Result(answers.learner, assignment.slug, rows, list(answers.notes), course.level.words(), answers.kind, mib)


def _worth_running(answers: Answers, part: Part) -> bool:
    source = answers.sources.get(part.id, "")
    return bool(source.strip()) and source.strip() != part.stub.strip()


def _without_running(part: Part, answers: Answers) -> Score:
    if part.kind != "exercise":
        return _judge_question(part, answers)
    if part.id not in answers.sources:
        return Score(part.id, "missing", 0.0, part.points, "There is no answer cell for it.")
    return Score(part.id, "not started", 0.0, part.points, "It is not written yet.")


def _judge_question(part: Part, answers: Answers) -> Score:
    """Quiz, decision: right or not, with this learner's own numbers. A prediction earns its points for being made."""
    if part.id not in answers.sources:
        return Score(part.id, "missing", 0.0, part.points, "There is no answer cell for it.")
    found, value = literal(answers.sources[part.id], part.id)
    if not found or value is None:
        why = "No answer was given." if found else "The answer is no plain value."
        return Score(part.id, "unanswered", 0.0, part.points, why)
    if part.kind == "prediction":
        return Score(part.id, "passed", part.points, part.points, "A prediction was made.")
    wrong = verdict.verify_answer(find.question(part.id).ask(learner_rng(answers.learner, part.id)), value)
    digest = _short(repr(value))
    return Score(part.id, "wrong", 0.0, part.points, f"Not right yet. {wrong}", answer=digest) if wrong else Score(
        part.id, "passed", part.points, part.points, "Right.", answer=digest)


def _judge_code(parts, answers, assignment, course):
    """All exercises of one submission in one sandbox. A sandbox that breaks is started anew; whose answer was being run gets one more try, because
    a machine short of memory may have ended it."""
    scores, mib, waiting, tried = {}, 0, list(parts), set()
    needs = tuple(dict.fromkeys(n for p in parts for n in find.exercise(p.id).needs))
    harness = find.exercise(parts[0].id).harness.__module__
    while waiting:
        started = False
        try:
            with Sandbox(course.level, harness, needs, assignment.imported, course.limits) as box:
                mib, started = max(mib, box.mib), True
                while waiting:
                    part = waiting[0]
                    scores[part.id] = _judge_exercise(part, answers, assignment, course, box)
                    waiting.pop(0)
        except SandboxLost as lost:
            if not started:
                raise TinylibError(f"No sandbox could be started: {lost}.") from None
            if waiting[0].id not in tried:
                tried.add(waiting[0].id)
                continue
            part = waiting.pop(0)
            scores[part.id] = Score(part.id, "error", 0.0, part.points, "The code ended its sandbox.")
    return scores, mib


def _judge_exercise(part: Part, answers: Answers, assignment: Assignment, course: Course, box: Sandbox) -> Score:
    exercise, start = find.exercise(part.id), time.monotonic()
    instances = private_instances(exercise, course, answers.learner)
    reply = box.run({"source": answers.sources[part.id], "prelude": list(assignment.prelude), "function": exercise.harness.__name__,
                     "entry": part.entry, "instances": instances, "seconds": exercise.seconds})
    score = score_runs(part, exercise, instances, runs_of(reply, answers.sources[part.id].count("\n") + 1))
    score.seconds = round(time.monotonic() - start, 3)
    score.answer = _short(answers.sources[part.id])
    return score


def runs_of(reply: dict, lines: int) -> tuple[run.Run, ...]:
    """The worker's reply as runs; anything that is not as it should be is one run without facts. `lines`: of the answer cell, no error lies beyond."""
    if "lost" in reply:
        return (run.Run({"time": "time", "size": "value"}.get(str(reply["lost"]), "error")),)
    runs = reply.get("runs")
    if not isinstance(runs, list) or not runs:
        return (run.Run("error"),)
    return tuple(_run(entry, lines) for entry in runs)


def _run(entry, lines) -> run.Run:
    if not isinstance(entry, dict) or entry.get("kind") not in RUN_KINDS or not isinstance(entry.get("facts"), dict):
        return run.Run("error")
    number = entry.get("line_number")
    text = entry.get("sentence")
    return run.Run(entry["kind"], entry["facts"] if entry["kind"] == "facts" else {}, text[:400] if isinstance(text, str) else "",
                   line_number=number if type(number) is int and 0 <= number <= lines else 0)


def score_runs(part: Part, exercise: Exercise, instances: list, runs: tuple) -> Score:
    """Points by property groups. The first group (does it compute the right thing?) must hold before another earns its share."""
    if len(runs) > len(instances):
        runs = (run.Run("error"),)
    failed = list(verdict.failures(exercise, instances, runs))
    groups = {p.group: True for p in exercise.properties} | {f.group: False for f in failed}
    broken = list(dict.fromkeys(f.property for f in failed))
    held = [p.name for p in exercise.properties if p.name not in broken] if runs[-1].kind == "facts" else []
    first = next(iter(groups))
    share = sum(groups.values()) / len(groups) if groups[first] else 0.0
    if not failed:
        return Score(part.id, "passed", part.points, part.points, "All properties hold.", held=held, groups=groups)
    last = runs[min(failed[0].index, len(runs) - 1)]
    kind = last.kind if last.kind != "facts" else "partly" if share else "wrong"
    seen = "" if last.kind == "not started" else verdict.recognise(exercise, instances, runs, failed[0].index)
    return Score(part.id, kind, round(part.points * share, 6), part.points, public_sentence(last), seen, broken, held, groups)


def public_sentence(failed: run.Run) -> str:
    """What may be said of a run: never text that the learner's code made, because it could carry private instances out."""
    line = f" (line {failed.line_number} of the cell)" if failed.line_number else ""
    if failed.kind == "error":
        word = next((w.strip(":.,()") for w in failed.sentence.split() if w.strip(":.,()") in BUILTIN_ERRORS), "an error")
        return f"The code stopped with {word}{line}."
    return {"time": "The code did not finish in time.", "value": "The result is no plain array, number, text or list.",
            "not started": "It is not written yet."}.get(failed.kind, "One property or more does not hold yet on a private case.")


def _short(text: str) -> str:
    return hashlib.sha256(text.encode(errors="replace")).hexdigest()[:16]


def judge_version(assignment: Assignment, course: Course) -> str:
    """Hash of everything but the answers that decides a grade; a regrade after any change of it is a new one."""
    root = project_root()
    digest = hashlib.sha256(f"{VERSION}\n{course.secret}\n{course.level}\n{course.limits}\n{assignment}".encode())
    files = sorted((root / "tinylib" / "check").glob("*.py")) + [root / "tinylib" / "classroom" / f"{name}.py" for name in DECIDES]
    files += sorted((root / "tinylib" / "exercises").rglob(f"{assignment.slug}.py"))
    files.append((course.hidden_dir or root / "solutions" / "hidden") / f"{assignment.slug}.py")
    for path in files:
        if path.is_file():
            digest.update(path.read_bytes())
    return digest.hexdigest()

