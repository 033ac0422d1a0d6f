"""Grades many submissions: in parallel, with a cache, so that a run killed at any moment goes on where it was."""

import hashlib
import json
import multiprocessing
import os
import threading
from collections.abc import Callable, Iterable
from concurrent.futures import Executor, Future, ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path

from tinylib.classroom.answers import Answers
from tinylib.classroom.assignment import Assignment
from tinylib.classroom.judge import Course, Result, judge, judge_version


@dataclass(frozen=True)
class Cache:
    """Results on disk, one file each, written in one step. The key holds everything that decides the grade."""

    folder: Path

    def path(self, answers: Answers, version: str) -> Path:
        """Where the result of these answers is, or will be."""
        key = hashlib.sha256(f"{version}\n{answers.digest()}\n{answers.notes}".encode(errors="replace")).hexdigest()
        return self.folder / key[:2] / f"{key}.json"

    def get(self, path: Path) -> Result | None:
        """The result, None when there is none or its file is damaged."""
        try:
            return Result.from_json(path.read_text(encoding="utf-8"))
        except (OSError, ValueError, TypeError, KeyError):
            return None

    def put(self, path: Path, result: Result) -> None:
        """Keep a result."""
        write_whole(path, result.to_json())


def write_whole(path: Path, text: str) -> None:
    """Write a text file in one step: whoever is killed leaves the old file or the new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with open(draft, "w", encoding="utf-8", newline="\n") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)


def judge_cached(answers: Answers, assignment: Assignment, course: Course, folder: str, version: str) -> str:
    """One submission, from the cache when it is there; the result as text. This is what a pool or a Dask worker runs."""
    cache = Cache(Path(folder))
    path = cache.path(answers, version)
    result = cache.get(path)
    if result is None:
        result = judge(answers, assignment, course)
        cache.put(path, result)
    return result.to_json()


def grade_all(submissions: Iterable[Answers], assignment: Assignment, course: Course, cache: Cache, executor: Executor | None = None,
              workers: int = 2, told: Callable[[Result, bool], None] = lambda result, fresh: None) -> list[Result]:
    """Results in the order of the submissions. `executor` is any concurrent.futures.Executor (Dask's too); `told(result, fresh)` hears of each.

    A submission of which the sandbox itself cannot be started raises; nothing that a learner writes can do that.
    """
    submissions, version = list(submissions), judge_version(assignment, course)
    results = {i: cache.get(cache.path(s, version)) for i, s in enumerate(submissions)}
    for found in filter(None, results.values()):
        told(found, False)
    todo = [i for i, found in results.items() if found is None]
    if not todo:
        return list(results.values())
    if executor is None and (workers == 1 or len(todo) == 1):
        for i in todo:
            results[i] = Result.from_json(judge_cached(submissions[i], assignment, course, str(cache.folder), version))
            told(results[i], True)
        return list(results.values())
    own = executor is None
    pool = executor or ProcessPoolExecutor(min(workers, len(todo)), mp_context=multiprocessing.get_context("spawn"), initializer=end_with_parent)
    try:
        waiting: dict[Future, int] = {pool.submit(judge_cached, submissions[i], assignment, course, str(cache.folder), version): i for i in todo}
        for done in as_completed(waiting):
            results[waiting[done]] = Result.from_json(done.result())
            told(results[waiting[done]], True)
    finally:
        if own:
            pool.shutdown(wait=True, cancel_futures=True)
    return list(results.values())


def end_with_parent() -> None:
    """In a worker of the pool: end when the grader is gone, however it ended; without this two processes would wait for work for ever."""
    parent = multiprocessing.parent_process()
    threading.Thread(target=lambda: (parent.join(), os._exit(1)), daemon=True).start()


def hand_points(path: Path) -> dict:
    """learner -> part id -> {"points": number, "comment": text} of a JSON file that a person keeps for hand grading; {} without one."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError:
        return {}
