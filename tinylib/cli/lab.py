"""`tinylib lab`: opens the learner's workspace."""

HELP = "open your labs in JupyterLab"


def add_arguments(parser):
    """Which lab, and what to do with it."""
    parser.add_argument("slug", nargs="?", metavar="SLUG", help="lab to open (default: the first)")
    action = parser.add_mutually_exclusive_group()
    action.add_argument("--reset", action="store_true", help="start the lab afresh; your copy moves to my_labs/old/")
    action.add_argument("--update", action="store_true", help="bring your answers into the newest release of the lab")
    parser.add_argument("--no-open", action="store_true", help="only prepare my_labs/")
    parser.add_argument("--no-browser", action="store_true", help="start JupyterLab without opening a browser")


def run(args) -> int:
    """Prepare my_labs/, then open it unless the lab was only reset or updated."""
    from tinylib.core.errors import TinylibError
    from tinylib.core.paths import project_root
    from tinylib.course.workspace import Workspace
    root = project_root()
    space = Workspace(root / "labs", root / "my_labs")
    if (args.reset or args.update) and not args.slug:
        raise TinylibError("Which lab? For example: tinylib lab --reset pruning")
    page = space.find(args.slug).name if args.slug else None
    learner = learner_name()
    if args.reset or args.update:
        print(reset(space, args.slug, learner) if args.reset else update(space, args.slug, learner))
        return 0
    new = space.fill(learner)
    print(f"Your labs are in {space.folder}" + (f" (new: {', '.join(new)})" if new else ""))
    return 0 if args.no_open else open_lab(space.folder, page, args.no_browser)


def learner_name() -> str:
    """The known name, else the one given now; asked once, and only where somebody can answer."""
    import getpass
    import os
    import sys

    from tinylib.check.learner import current_learner, store_learner, stored_learner
    if os.environ.get("TINYLIB_LEARNER") or os.environ.get("JUPYTERHUB_USER") or stored_learner() or not sys.stdin.isatty():
        return current_learner()
    name = input(f"Your name (numbers in the exercises follow it) [{getpass.getuser()}]: ").strip() or getpass.getuser()
    store_learner(name)
    return name


def reset(space, slug: str, learner: str) -> str:
    """Reset, told in a sentence."""
    kept = space.reset(slug, learner)
    return f"{slug} is fresh again." + (f" Your old copy: {kept}" if kept else "")


def update(space, slug: str, learner: str) -> str:
    """Update, told in a few lines."""
    done = space.update(slug, learner)
    if not done.old:
        return f"{slug} is the newest release already."
    lines = [f"{slug} is now the newest release, with {len(done.carried)} of your answers. Your old copy: {done.old}"]
    if done.lost:
        lines.append(f"No longer part of the lab, and only in the old copy: {', '.join(done.lost)}")
    return "\n".join(lines)


def open_lab(folder, page: str | None, no_browser: bool) -> int:
    """Start JupyterLab in the workspace and wait for its end."""
    import os
    import subprocess
    import sys
    pages = sorted(folder.glob("*.ipynb"))
    page = page or (pages[0].name if pages else "")
    command = [sys.executable, "-m", "jupyterlab", f"--ServerApp.root_dir={folder}", f"--LabApp.default_url=/lab/tree/{page}"]
    command += ["--no-browser"] * no_browser + ["--allow-root"] * (os.geteuid() == 0)     # root: a container, as a rule
    try:
        return subprocess.call(command, env=os.environ | {"JUPYTER_PLATFORM_DIRS": "1"})
    except KeyboardInterrupt:
        return 0
