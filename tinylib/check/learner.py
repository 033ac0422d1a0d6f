"""Who is learning here, and the random numbers that belong to this learner and a question."""

import hashlib
import json
import os

import numpy as np

from tinylib.core.paths import records_dir

DEMO = "demo"


def current_learner() -> str:
    """`TINYLIB_LEARNER` (builds, tests, the judge), else `JUPYTERHUB_USER`, else the stored name, else "demo"."""
    for variable in ("TINYLIB_LEARNER", "JUPYTERHUB_USER"):
        if os.environ.get(variable, "").strip():
            return os.environ[variable].strip()
    return stored_learner() or DEMO


def stored_learner() -> str:
    """The name kept by `store_learner`, "" when there is none or its file cannot be read."""
    try:
        name = json.loads((records_dir() / "learner.json").read_text(encoding="utf-8"))["name"]
        return name.strip() if isinstance(name, str) else ""
    except (OSError, ValueError, KeyError, TypeError):
        return ""


def store_learner(name: str) -> bool:
    """Keep the name for later runs; False when the folder cannot be written (then the lab goes on as "demo")."""
    try:
        records_dir().mkdir(parents=True, exist_ok=True)
        (records_dir() / "learner.json").write_text(json.dumps({"name": name.strip()}) + "\n", encoding="utf-8")
        return True
    except OSError:
        return False


def learner_rng(learner: str, question_id: str) -> np.random.Generator:
    """Generator that is the same for this learner and id on every machine, and unrelated between learners."""
    digest = hashlib.sha256(f"{learner}\n{question_id}".encode()).digest()
    return np.random.default_rng(int.from_bytes(digest[:16], "big"))
