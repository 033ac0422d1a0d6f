"""`tinylib build`: notebooks from sources, and the computed tables."""

import sys

HELP = "make the notebooks from solutions/*.py"


def add_arguments(parser):
    """Slugs, and what to do instead of building."""
    parser.add_argument("slugs", nargs="*", metavar="SLUG", help="labs to build and execute anew; without one, those that are out of date")
    parser.add_argument("--check", action="store_true", help="only tell what is out of date; executes nothing")
    parser.add_argument("--index", action="store_true", help="only write the tables in README.md and data/LICENSES.md")
    parser.add_argument("--root", help="folder with solutions/ and labs/ (default: this course)")


def run(args) -> int:
    """Build, check or index."""
    from pathlib import Path

    from tinylib.course.build import Course, project
    course = Course(Path(args.root).resolve()) if args.root else project()
    if args.index:
        from tinylib.course.index import write_index
        print(f"Written: {', '.join(write_index(course.root)) or 'nothing to change'}")
        return 0
    return check(course, args.slugs) if args.check else build(course, args.slugs)


def check(course, slugs) -> int:
    """Print what is out of date; 1 when anything is."""
    from tinylib.course.build import drift, strays
    from tinylib.course.index import index_drift
    found = [problem for lab in course.pick(slugs) for problem in drift(course, lab)]
    if not slugs:
        found += strays(course) + index_drift(course.root)
    print("\n".join(found) or "All notebooks and tables belong to their sources.", file=sys.stderr if found else sys.stdout)
    return 1 if found else 0


def build(course, slugs) -> int:
    """Build the named labs, or all that are out of date."""
    from tinylib.course import build as course_build
    from tinylib.course import ledger
    from tinylib.course.index import write_index
    labs = course.pick(slugs)
    for lab in labs:
        if not slugs and not course_build.drift(course, lab):
            continue
        run = course_build.build(course, lab)
        ledger.keep([run], course.root / ".cache" / "ledger.json")
        print(f"{lab.stem}: {len(lab.cells)} cells, {len(run.checks)} checks passed, {run.cpu_seconds:.0f} s of CPU time, "
              f"{run.peak_bytes / 2**20:.0f} MiB")
    write_index(course.root)
    return 0
