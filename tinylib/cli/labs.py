"""`tinylib labs`: the labs that exist."""

HELP = "list the labs"


def add_arguments(parser):
    """JSON instead of a table."""
    parser.add_argument("--json", action="store_true", help="one JSON list, for programs")


def run(args) -> int:
    """Print the labs by number."""
    import json
    from dataclasses import asdict

    from tinylib.course.manifest import manifest
    labs = manifest()
    if args.json:
        print(json.dumps([asdict(lab) for lab in labs], indent=1))
        return 0
    for lab in labs:
        print(f"{lab.number:02d}  {lab.slug:22s} {lab.title:44s} {lab.minutes:3d} min  {len(lab.exercises)} exercises  {lab.points:3d} points")
    if not labs:
        print("There are no labs here yet.")
    return 0
