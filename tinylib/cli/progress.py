"""`tinylib progress`: the learner's map of the course."""

HELP = "draw your map of the course"


def add_arguments(parser):
    """No arguments."""


def run(args) -> int:
    """Print the map, and what is worth knowing about the record."""
    from tinylib.course.progress import course_map
    print(course_map())
    return 0
