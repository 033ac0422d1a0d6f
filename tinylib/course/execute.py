"""Runs a notebook as CI and the author do: a fresh kernel, one thread, learner "demo", no browser, records thrown away."""

import os
import re
import tempfile
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError

from tinylib.core.errors import TinylibError
from tinylib.core.paths import project_root
from tinylib.course import ledger

MAX_BYTES = 1_500_000
WIDGET = "application/vnd.jupyter.widget-view+json"
ADDRESS = re.compile(r"<[^>\n]* at 0x[0-9a-f]+>")
ANSI = re.compile(r"\x1b\[[0-9;]*m")
CELL_SECONDS = 300


def execute(book: nbformat.NotebookNode, folder: Path, env: dict[str, str] | None = None) -> tuple[nbformat.NotebookNode, ledger.Run]:
    """The notebook with outputs, and what the run noted. `folder` ("labs" or "solutions") is the kernel's working directory.

    Raises TinylibError naming the cell when one fails, takes over five minutes or kills the kernel.
    """
    done = nbformat.from_dict(book)
    slug = book.metadata["tinylib"]["slug"]
    with tempfile.TemporaryDirectory() as scratch:
        surroundings = os.environ | environment(Path(scratch)) | (env or {})
        client = NotebookClient(done, timeout=CELL_SECONDS, kernel_name="python3", record_timing=False,
                                store_widget_state=False, resources={"metadata": {"path": str(folder)}})
        try:
            client.execute(env=surroundings)
        except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
            raise TinylibError(failure(done, slug, error)) from None
        notes = Path(scratch) / "results" / f"{folder.name}-{slug}.jsonl"
        run = ledger.read_run(notes) if notes.exists() else ledger.Run(folder.name, slug, {}, 0.0, 0)
    done.metadata = nbformat.from_dict(book.metadata)
    for number, cell in enumerate((c for c in done.cells if c.cell_type == "code"), 1):
        cell.execution_count = number
        cell.outputs = joined_streams([clean for output in cell.outputs if (clean := clean_output(output, number))])
    return done, run


def environment(scratch: Path) -> dict[str, str]:
    """Environment variables of the kernel."""
    path = os.pathsep.join([str(project_root()), os.environ.get("PYTHONPATH", "")]).rstrip(os.pathsep)
    return {"PYTHONPATH": path, "TINYLIB_HOME": str(scratch / "home"), ledger.VARIABLE: str(scratch / "results"), ledger.STATIC: "1",
            "TINYLIB_LEARNER": "demo", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1", "PYTHONHASHSEED": "0"}


def failure(book: nbformat.NotebookNode, slug: str, error: Exception) -> str:
    """One message: which cell, what it said."""
    ran = [c for c in book.cells if c.cell_type == "code" and (c.outputs or c.execution_count)]
    where = f"cell {ran[-1].id}" if ran else "the first cell"
    if isinstance(error, CellTimeoutError):
        return f"{slug}: {where} did not finish within {CELL_SECONDS} s."
    if isinstance(error, DeadKernelError):
        return f"{slug}: the kernel died in {where}."
    failed = next((c for c in ran if any(o.output_type == "error" for o in c.outputs)), None)
    text = "\n".join(o["traceback"][-1] if len(o["traceback"]) == 1 else "\n".join(o["traceback"]) for c in [failed] if c
                     for o in c.outputs if o.output_type == "error")
    return f"{slug}: {f'cell {failed.id}' if failed else where} raised\n{ANSI.sub('', text)}"


def clean_output(output: nbformat.NotebookNode, number: int) -> nbformat.NotebookNode | None:
    """The output as we keep it: counted 1..n, without widget views (the static figure and its text stand beside them)."""
    if output.output_type in ("execute_result", "display_data"):
        if WIDGET in output.data:
            return None
        output.metadata = nbformat.from_dict({})
        if output.output_type == "execute_result":
            output.execution_count = number
    return output


def joined_streams(outputs: list[nbformat.NotebookNode]) -> list[nbformat.NotebookNode]:
    """Neighbouring pieces of one stream made one; of a line that was overwritten by carriage returns only the last state.

    nbclient's own joining takes minutes on one long line.
    """
    joined = []
    for output in outputs:
        if joined and output.output_type == "stream" and joined[-1].get("name") == output.name:
            joined[-1].text += output.text
        else:
            joined.append(output)
    for output in joined:
        if output.output_type == "stream":
            lines = output.text.replace("\r\n", "\n").split("\n")
            output.text = "\n".join(line.rstrip("\r").rpartition("\r")[2] for line in lines)
    return joined


def refuse(book: nbformat.NotebookNode, text: str) -> None:
    """Raise TinylibError for outputs that must not be committed: warnings, bare object addresses, more than 1.5 MB."""
    slug = book.metadata["tinylib"]["slug"]
    for cell in (c for c in book.cells if c.cell_type == "code"):
        for output in cell.outputs:
            if output.get("name") == "stderr" and "Warning" in output.text:
                raise TinylibError(f"{slug}: cell {cell.id} shows a warning: {output.text.strip()}")
            plain = output.get("data", {}).get("text/plain", "") if set(output.get("data", {})) == {"text/plain"} else ""
            if ADDRESS.search(plain):
                raise TinylibError(f"{slug}: cell {cell.id} shows {plain.strip()[:80]!r}; end the cell with something worth reading.")
    if len(text.encode()) > MAX_BYTES:
        sizes = sorted(((len(str(c.get("outputs", ""))), c.id) for c in book.cells), reverse=True)[:3]
        largest = ", ".join(f"{name} {size / 1e6:.2f} MB" for size, name in sizes)
        raise TinylibError(f"{slug}: the notebook has {len(text.encode()) / 1e6:.2f} MB, at most 1.5. Largest cells: {largest}")
