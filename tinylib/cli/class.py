"""`tinylib class`: hand out, collect, grade safely, give feedback, export."""

HELP = "run a class: init, release, collect, grade, feedback, export, report, dryrun"


def add_arguments(parser):
    """One sub-command a step of a term."""
    steps = parser.add_subparsers(dest="step", metavar="STEP", required=True)
    make = lambda name, text: steps.add_parser(name, help=text, description=text)
    step = make("init", "make a course folder with an nbgrader configuration")
    step.add_argument("dir", metavar="DIR")
    step.add_argument("--exchange", metavar="ROOT", help="folder of nbgrader's exchange")
    for name, text in (("release", "make the students' notebooks of a lab"), ("collect", "take submissions in"), ("grade", "judge all submissions"),
                       ("feedback", "write each student's feedback"), ("export", "write the grades as CSV"), ("report", "item analysis, similar work")):
        step = make(name, text)
        step.add_argument("--course", default=".", metavar="DIR", help="the course folder (default: here)")
        step.add_argument("--lab", metavar="SLUG", help="which lab")
        if name in ("release", "feedback"):
            step.add_argument("--exchange", action="store_true", help="also into nbgrader's exchange")
        if name == "release":
            step.add_argument("--due", metavar="DATE", help="due date, for example '2026-12-01 18:00 +0100'")
        if name == "collect":
            step.add_argument("source", nargs="?", metavar="FOLDER_OR_ZIP", help="student/notebook.ipynb; without it nbgrader's exchange")
        if name == "grade":
            step.add_argument("--plain", nargs=2, metavar=("IN", "OUT"), help="without nbgrader: folder or zip in, CSV and feedback out")
            step.add_argument("--students", metavar="FILE", help="names of all students, one a line")
            step.add_argument("--workers", type=int, default=2)
            step.add_argument("--hidden", metavar="DIR", help="folder of private instances")
            judge_arguments(step)
        if name == "export":
            step.add_argument("--format", choices=("csv", "canvas", "moodle"), default="csv")
    step = make("dryrun", "a made-up class from release to export; fails if anyone gets what they should not")
    step.add_argument("--lab", metavar="SLUG", default="start_here")
    step.add_argument("--keep", metavar="DIR", help="keep the class in this folder")
    judge_arguments(step)


def judge_arguments(step):
    """How the learner's code is shut in."""
    step.add_argument("--isolation", choices=("process", "bubblewrap", "container"), help="default: bubblewrap where it works")
    step.add_argument("--container", default="", metavar="COMMAND", help="command for --isolation container; {stage}, {worker}, {name}: docs/instructor.md")


def run(args) -> int:
    """One step."""
    from pathlib import Path

    from tinylib.classroom import term
    if args.step == "init":
        print(term.init(Path(args.dir), Path(args.exchange) if args.exchange else None))
        return 0
    if args.step == "dryrun":
        from tinylib.classroom import dryrun
        return dryrun.run(args.lab, args.isolation, args.container, Path(args.keep) if args.keep else None)
    if args.step == "grade" and args.plain:
        return grade_plain(args)
    return getattr(term, args.step)(term.open_course(Path(args.course)), args)


def grade_plain(args) -> int:
    """Folder in, CSV and feedback out."""
    from pathlib import Path

    from tinylib.classroom import assignment, plain, sandbox
    from tinylib.classroom.judge import Course
    from tinylib.core.errors import TinylibError
    if not args.lab:
        raise TinylibError("Which lab? For example: tinylib class grade --plain submissions graded --lab pruning")
    source, out = map(Path, args.plain)
    listed = Path(args.students).read_text(encoding="utf-8").split("\n") if args.students else []
    course = Course(plain.secret_of(out), sandbox.choose(args.isolation, args.container), Path(args.hidden) if args.hidden else None)
    print(course.level.words())
    done = plain.grade_folder(source, out, assignment.find(args.lab), course, [s.strip() for s in listed if s.strip()], workers=args.workers)
    print(f"{len(done.results)} students, {done.fresh} newly judged. Grades and feedback are in {out}")
    return 0
