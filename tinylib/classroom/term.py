"""A term with nbgrader: init, release, collect, grade, feedback, export, report. Each step prints the nbgrader call that it makes."""

import json
import os
import shutil
from dataclasses import dataclass, replace
from pathlib import Path

from tinylib.classroom import assignment as assignments
from tinylib.classroom import collect as collecting
from tinylib.classroom import exchange, gradebook, sandbox
from tinylib.classroom import export as exporting
from tinylib.classroom import feedback as feedbacks
from tinylib.classroom import report as reports
from tinylib.classroom.answers import Answers, read_folder
from tinylib.classroom.grade import Cache, grade_all, write_whole
from tinylib.classroom.judge import Course, Result
from tinylib.classroom.plain import secret_of
from tinylib.core.errors import TinylibError
from tinylib.core.paths import project_root

SETTINGS = "class.json"


@dataclass(frozen=True)
class Class:
    """A course folder: nbgrader's own folders, `collected/` with what students sent, `.class/` with secret and cache."""

    folder: Path
    settings: dict

    @property
    def cache(self) -> Path:
        """Folder of judged results."""
        return self.folder / ".class" / "cache"

    def assignment(self, name: str) -> assignments.Assignment:
        """A released lab by slug or file name; TinylibError when it is not released."""
        for path in sorted((self.folder / "release").glob("*/*.ipynb")):
            if name in (path.stem, path.stem.partition("_")[2]):
                return assignments.read(path)
        raise TinylibError(f"{name!r} is not released in {self.folder}. First: tinylib class release --lab {name}")

    def judge_course(self) -> Course:
        """Secret, level and private instances of this class."""
        hidden = self.settings.get("hidden_dir")
        level = sandbox.choose(self.settings.get("isolation") or None, self.settings.get("container", ""))
        limits = sandbox.Limits(**self.settings.get("limits", {}))
        return Course(secret_of(self.folder / ".class"), level, (self.folder / hidden) if hidden else None, limits)

    def collected(self, assignment, student: str) -> Answers | None:
        """What the student sent, None when nothing was collected by us."""
        folder = self.folder / "collected" / assignment.stem / student
        return read_folder(folder, assignment, student) if folder.is_dir() else None

    def students(self, assignment) -> list[str]:
        """Everybody in `submitted/` or `collected/`, and those of students.txt."""
        names = {p.parent.name for p in (self.folder / "submitted").glob(f"*/{assignment.stem}")}
        names |= {p.name for p in (self.folder / "collected" / assignment.stem).glob("*") if p.is_dir() and not p.name.startswith(".")}
        return sorted(names | set(self.listed()))

    def listed(self) -> list[str]:
        """Names in students.txt, one a line."""
        path = self.folder / "students.txt"
        return [s.strip() for s in path.read_text(encoding="utf-8").split("\n") if s.strip()] if path.exists() else []


def init(folder: Path, root: Path | None = None) -> str:
    """Make a course folder; an existing one is left as it is. `root`: folder of nbgrader's exchange, which all students can reach."""
    if (folder / SETTINGS).exists():
        raise TinylibError(f"{folder} is a course folder already.")
    for name in ("source", "release", "submitted", "collected", "autograded", "feedback"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    (folder / ".class").mkdir(mode=0o700, exist_ok=True)
    write_whole(folder / "nbgrader_config.py", gradebook.CONFIG.format(
        name=folder.resolve().name, exchange=f"c.Exchange.root = {str(root.resolve())!r}\n" if root else ""))
    secret_of(folder / ".class")
    write_whole(folder / SETTINGS, json.dumps({"isolation": "", "container": "", "hidden_dir": ""}, indent=1) + "\n")
    return f"{folder} is a course folder. Next: tinylib class release --course {folder} --lab start_here"


def open_course(folder: Path) -> Class:
    """The course at `folder`. TinylibError when it is none."""
    folder = folder.resolve()
    try:
        return Class(folder, json.loads((folder / SETTINGS).read_text(encoding="utf-8")))
    except (OSError, ValueError):
        raise TinylibError(f"{folder} is no course folder. First: tinylib class init DIR") from None


def wanted(klass: Class, args) -> assignments.Assignment:
    """The released lab that the command names; the only one when it names none."""
    if args.lab:
        return klass.assignment(args.lab)
    found = sorted((klass.folder / "release").glob("*/*.ipynb"))
    if len(found) != 1:
        raise TinylibError("Which lab? Released: " + (", ".join(p.stem for p in found) or "none"))
    return assignments.read(found[0])


def release(klass: Class, args) -> int:
    """Source with the questions' cell into nbgrader; the very bytes of labs/ to the students."""
    if not args.lab:
        raise TinylibError("Release which lab? For example: tinylib class release --lab pruning")
    found = assignments.find(args.lab)
    path = project_root() / "labs" / f"{found.stem}.ipynb"
    gradebook.write_book(klass.folder / "source" / found.stem / path.name, gradebook.source_book(json.loads(path.read_text(encoding="utf-8")), found))
    print(f"nbgrader generate_assignment {found.stem} --force")
    gradebook.sure(lambda: gradebook.api(klass.folder).generate_assignment(found.stem, force=True), "generate_assignment")
    shutil.copyfile(path, klass.folder / "release" / found.stem / path.name)
    if args.due:
        print(f"nbgrader db assignment add {found.stem} --duedate {gradebook.set_due(klass.folder, found, args.due)!r}")
    if args.exchange:
        print(f"nbgrader release_assignment {found.stem} --force")
        api = gradebook.api(klass.folder)
        api.config.ExchangeReleaseAssignment.force = True
        gradebook.sure(lambda: api.release_assignment(found.stem), "release_assignment")
        return 0
    print(f"Hand out {klass.folder / 'release' / found.stem / path.name} (to nbgrader's exchange: --exchange)")
    return 0


def collect(klass: Class, args) -> int:
    """What students sent into collected/, as it is; and a clean copy with their answers into submitted/, for nbgrader."""
    found = wanted(klass, args)
    if args.source is None:
        print(f"nbgrader collect {found.stem}")
        gradebook.sure(lambda: gradebook.api(klass.folder).collect(found.stem, update=True), "collect")
        names = exchange.take_over(klass.folder, found)
        print(f"{len(names)} new from the exchange: {', '.join(names) or 'none'}")
        return 0
    with collecting.opened(Path(args.source)) as folder:
        names, refused = [], []
        for name in collecting.students(folder, klass.listed()):
            (names if gradebook.takes(name) else refused).append(name)
        for name in names:
            exchange.keep(klass.folder, found, name, folder / name, exchange.stamp_of(folder / name, missing_is_now=False, name=name))
    print(f"{len(names)} students in {klass.folder / 'collected' / found.stem}")
    for name in refused:
        print(f"{name}: left out, because nbgrader takes no name with * ? [ ]; rename the folder and collect again")
    return 1 if refused else 0


def results_of(klass: Class, found, workers: int = 2, say=lambda text: None) -> tuple[list[Answers], list[Result]]:
    """Every student's answers and result; from the cache where nothing has changed."""
    answers = []
    for name in klass.students(found):
        sent = klass.collected(found, name)
        answers.append(sent if sent is not None else read_folder(klass.folder / "submitted" / name / found.stem, found, name))
    told = lambda result, fresh: say(f"{result.learner}: {result.points:g}{'' if fresh else ' (judged before)'}  {' '.join(result.notes)}".rstrip())
    return answers, grade_all(answers, found, klass.judge_course(), Cache(klass.cache), workers=workers, told=told)


def grade(klass: Class, args) -> int:
    """Judge in parallel into the cache, then let nbgrader write its gradebook, one student after another, skipping what is written."""
    found = wanted(klass, args)
    if args.isolation or args.container or args.hidden:
        changed = {"isolation": args.isolation, "container": args.container, "hidden_dir": args.hidden and os.path.abspath(args.hidden)}
        klass = Class(klass.folder, klass.settings | {k: v for k, v in changed.items() if v})
        write_whole(klass.folder / SETTINGS, json.dumps(klass.settings, indent=1) + "\n")
    print(klass.judge_course().level.words())
    exchange.take_over(klass.folder, found)                     # whoever called `nbgrader collect` without us
    answers, results = results_of(klass, found, args.workers, print)
    api = gradebook.api(klass.folder)
    failed = 0
    for sent, result in zip(answers, results):
        try:
            record(klass, found, sent, result, api)
        except TinylibError as error:                           # one student's trouble is not the class's
            failed += 1
            print(f"{sent.learner}: not in the gradebook. {error}")
    for name, points in gradebook.penalise(klass.folder, found).items():
        print(f"{name}: {points:g} points lost for being late")
    print(f"{len(results) - failed} students in {klass.folder / 'gradebook.db'}. By hand: start `jupyter lab` in {klass.folder}, menu Nbgrader, Formgrader")
    return 1 if failed else 0


def record(klass: Class, found, sent: Answers, result: Result, api) -> None:
    """One student into the gradebook. A mark on disk, written afterwards, says that this very result is in it."""
    mark = klass.folder / ".class" / "written" / found.stem / f"{sent.learner}.json"
    stamp = klass.folder / "submitted" / sent.learner / found.stem / exchange.STAMP
    now = json.dumps([result.to_json(), sent.digest(), stamp.read_text(encoding="utf-8") if stamp.is_file() else ""])
    if mark.exists() and mark.read_text(encoding="utf-8") == now:
        return
    if not gradebook.takes(sent.learner):
        raise TinylibError("nbgrader takes no name with * ? [ ].")
    if not stamp.parent.is_dir():
        gradebook.write_book(stamp.parent / f"{found.stem}.ipynb", exchange.clean_book(klass.folder, found, {}))
    print(f"nbgrader autograde {found.stem} --student {sent.learner} --force")
    gradebook.sure(lambda: api.autograde(found.stem, sent.learner, force=True, create=True), f"autograde of {sent.learner}")
    write_whole(mark, now)


def feedback(klass: Class, args) -> int:
    """feedback/STUDENT/LAB/LAB.{md,html}, with points and comments that a person gave in the formgrader."""
    found = wanted(klass, args)
    lost = gradebook.penalise(klass.folder, found)
    for result in results_of(klass, found)[1]:
        given = gradebook.by_hand(klass.folder, found, result.learner)
        text = feedbacks.markdown(result, found, given, gradebook.total(klass.folder, found, result.learner), lost.get(result.learner, 0.0))
        folder = klass.folder / "feedback" / result.learner / found.stem
        write_whole(folder / f"{found.stem}.md", text)
        for name in exchange.own_names(klass.folder, found, result.learner):
            write_whole(folder / f"{name}.html", feedbacks.page(text, f"{found.stem}: {result.learner}"))
        exchange.feedback_files(klass.folder, found, result.learner)
    print(f"Feedback is in {klass.folder / 'feedback'}")
    if args.exchange:
        print(f"nbgrader release_feedback {found.stem}")
        gradebook.sure(lambda: gradebook.api(klass.folder).release_feedback(found.stem), "release_feedback")
    return 0


def export(klass: Class, args) -> int:
    """One CSV of all released labs, or of one."""
    labs = [wanted(klass, args)] if args.lab else [assignments.read(p) for p in sorted((klass.folder / "release").glob("*/*.ipynb"))]
    for lab in labs:
        gradebook.penalise(klass.folder, lab)
    rows = [booked(klass, lab, r) for lab in labs for r in results_of(klass, lab)[1]]
    path = klass.folder / f"grades-{args.format}.csv"
    write_whole(path, exporting.FORMATS[args.format](rows))
    print(path)
    return 0


def booked(klass: Class, lab, result: Result) -> exporting.Row:
    """A row whose total is the gradebook's: with points that a person changed, extra credit and the late penalty."""
    row = exporting.row(result, lab, gradebook.by_hand(klass.folder, lab, result.learner))
    total = gradebook.total(klass.folder, lab, result.learner)
    return row if total is None else replace(row, points=round(total, 6))


def report(klass: Class, args) -> int:
    """Item analysis and similar work."""
    found = wanted(klass, args)
    answers, results = results_of(klass, found)
    print(reports.text(results, answers, found))
    return 0
