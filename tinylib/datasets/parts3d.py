"""Parts3d: electronic parts from a CAD library as labelled point clouds: which points are pin, which are body?

Real CAD models of the KiCad project (CC BY-SA 4.0), points sampled from their surfaces. The library has many sizes of few designs, so
the splits keep designs apart: a test object's design was never trained on. Labels are the models' own materials, an imperfect truth.
"""

import fnmatch
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from tinylib.core.seed import rng
from tinylib.datasets.files import debian_package, load_set, save_set
from tinylib.datasets.shapes3d import Clouds, in_unit_ball

FOLDERS = {     # class -> folders of the package
    "resistor": ("Resistor_THT",), "diode": ("Diode_THT",), "light": ("LED_THT",), "inductor": ("Inductor_THT",),
    "transistor": ("Package_TO_SOT_THT",), "chip": ("Package_DIP", "Package_SO", "Package_QFP"), "button": ("Button_Switch_THT",), "relay": ("Relay_THT",),
    "header": tuple(f"Connector_Pin{kind}_{pitch}mm" for kind in ("Header", "Socket") for pitch in ("1.00", "1.27", "2.00", "2.54")),
    "plug": ("Connector_JST", "Connector_Dsub", "Connector_IDC", "Connector_Stocko"), "display": ("Display_7Segment",)}
CLASSES = tuple(FOLDERS)
PARTS = ("pin", "body")
PACKAGE, LICENCE = "kicad-packages3d", "CC-BY-SA-4.0-with-exception"
SEED, POINTS, PER_DESIGN, LEAST_SHARE = 1999, 512, 32, 0.03
VARIANTS = {"mm", "pin", "ep", "pitch", "mask", "thermalvias", "anodeup", "kathodeup", "clear", "irblack", "irgrey"}     # words that make no design
SHARES = {"train": 0.6, "val": 0.15, "test": 0.25}
UNIT = 32_000           # int16 steps of one radius
MAX_FILE_BYTES = 3_000_000


def load() -> tuple[Clouds, Clouds, Clouds]:
    """Training, validation and test clouds (n, 3, 512) in the unit ball; parts 0 pin, 1 body; no design is in two splits."""
    a, _ = load_set("parts3d")
    both = tuple((0, 1) for _ in CLASSES)
    return tuple(Clouds(a["points"][here].astype(np.float32) / UNIT, a["parts"][here].astype(np.int64), a["kinds"][here].astype(np.int64),
                        CLASSES, PARTS, both) for here in (a["split"] == i for i in range(3)))


def design(name: str) -> str:
    """The design a file belongs to: its name without sizes, pitches, counts and variants ("R_Axial_DIN0207_L6.3mm_Vertical" -> "R_Axial_DIN_Vertical").

    All quad flat packages are one design, and so are all small-outline ones.
    """
    words = (re.match(r"TO-\d+|[A-Za-z]{2,}|[A-Za-z](?![A-Za-z0-9.])", word) for word in name.split("_"))
    kept = [re.sub(r"^[A-Z]*(QFP|SOP)$", r"\1", word.group()) for word in words if word and word.group().lower() not in VARIANTS]
    return "_".join(kept)


def meshes(text: str) -> Iterator[tuple[str, np.ndarray]]:
    """(material, triangles (n, 3, 3)) of every surface of a VRML file. A surface's material is named AFTER its geometry."""
    pattern = re.compile(r"coordIndex\s*\[([^\]]*)\].*?point\s*\[([^\]]*)\].*?material\s+USE\s+([\w-]+)", re.DOTALL)
    for shape in text.split("IndexedFaceSet")[1:]:
        found = pattern.search(shape)
        if found:
            corners = np.array(found[2].replace(",", " ").split(), float).reshape(-1, 3)
            faces = np.array(found[1].replace(",", " ").split(), int).reshape(-1, 4)[:, :3]
            yield found[3], corners[faces]


def sample(triangles: np.ndarray, parts: np.ndarray, n: int, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """n points (n, 3) spread evenly over triangles (m, 3, 3), and the part of the triangle each lies in."""
    one, two = triangles[:, 1] - triangles[:, 0], triangles[:, 2] - triangles[:, 0]
    area = np.linalg.norm(np.cross(one, two), axis=1)
    chosen = random.choice(len(area), n, p=area / area.sum())
    u, v = random.uniform(0, 1, (2, n, 1))
    fold = u + v > 1
    u, v = np.where(fold, 1 - u, u), np.where(fold, 1 - v, v)
    return triangles[chosen, 0] + u * one[chosen] + v * two[chosen], parts[chosen]


def part_of(material: str) -> int:
    """0 for a material of pins, 1 for any other."""
    return 0 if material.startswith("PIN-") else 1


def cloud(text: str, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray] | None:
    """Points int16 (3, POINTS) and parts (POINTS,) of a VRML file; None where one part holds under 3 % of the points."""
    surfaces = list(meshes(text))
    if len({part_of(material) for material, _ in surfaces}) < 2:
        return None
    parts = np.concatenate([np.full(len(t), part_of(material)) for material, t in surfaces])
    points, parts = sample(np.concatenate([t for _, t in surfaces]), parts, POINTS, random)
    if not LEAST_SHARE <= (parts == 0).mean() <= 1 - LEAST_SHARE:
        return None
    return np.rint(in_unit_ball(points).T * UNIT).astype(np.int16), parts.astype(np.uint8)


def split_of(designs: np.ndarray, kind: str) -> np.ndarray:
    """0, 1 or 2 (train, validation, test) for each object of a class: its designs are shuffled and dealt out whole."""
    names, counts = np.unique(designs, return_counts=True)
    order = rng(SEED, "split", kind).permutation(len(names))
    middle = (np.cumsum(counts[order]) - counts[order] / 2) / counts.sum()
    part = np.empty(len(names), int)
    part[order] = np.searchsorted(np.cumsum(list(SHARES.values()))[:2], middle)
    return part[np.searchsorted(names, designs)]


def licences(copyright_file: str) -> list[tuple[str, str]]:
    """(pattern of file names, licence) in the order of a Debian copyright file; the last pattern that fits a file counts."""
    found = []
    for paragraph in re.split(r"\n\n(?=Files:)", copyright_file)[1:]:
        files, licence = re.search(r"Files:(.*?)\nCopyright:", paragraph, re.DOTALL), re.search(r"\nLicense: *(\S+)", paragraph)
        found += [(pattern, licence[1]) for pattern in files[1].split()]
    return found


def make() -> Path:
    """Remake `data/share_alike/parts3d.npz` from the Debian package (379 MB, two minutes); returns its path."""
    with tempfile.TemporaryDirectory() as folder:
        tree = debian_package(PACKAGE, Path(folder))
        return from_tree(tree)


def from_tree(tree: Path) -> Path:
    """The set from an unpacked package: at most PER_DESIGN sizes of a design, only files under CC BY-SA."""
    rules = licences((tree / f"usr/share/doc/{PACKAGE}/copyright").read_text())
    free = lambda file: next(licence for pattern, licence in reversed(rules) if fnmatch.fnmatch(file, pattern)) == LICENCE
    rows = []
    for kind, folders in FOLDERS.items():
        files = sorted(file for name in folders for file in (tree / f"usr/share/kicad/3dmodels/{name}.3dshapes").glob("*.wrl")
                       if file.stat().st_size <= MAX_FILE_BYTES and free(f"{name}.3dshapes/{file.name}"))
        taken: dict[str, int] = {}
        for i in rng(SEED, "files", kind).permutation(len(files)):
            name = design(files[i].stem)
            if taken.get(name, 0) < PER_DESIGN:
                made = cloud(files[i].read_text(errors="replace"), rng(SEED, files[i].stem))
                if made:
                    taken[name] = taken.get(name, 0) + 1
                    rows.append((kind, name, files[i].stem, *made))
    rows = [rows[i] for i in rng(SEED, "order").permutation(len(rows))]
    kinds, designs = np.array([row[0] for row in rows]), np.array([row[1] for row in rows])
    split = np.empty(len(rows), np.uint8)
    for kind in CLASSES:
        split[kinds == kind] = split_of(designs[kinds == kind], kind)
    return save_set(
        "parts3d",
        {"points": np.stack([row[3] for row in rows]), "parts": np.stack([row[4] for row in rows]),
         "kinds": np.array([CLASSES.index(k) for k in kinds], np.uint8), "designs": designs, "names": np.array([row[2] for row in rows]), "split": split},
        title="Electronic parts, pin or body", source="Debian package kicad-packages3d 6.0.10-1", licence="CC BY-SA 4.0",
        attribution="KiCad packages3D, Copyright 2017-2022 the KiCad community, kicad StepUp and contributors, https://gitlab.com/kicad/libraries/"
        "kicad-packages3D", kind="real", share_alike=True,
        made="512 points sampled by area from each CAD mesh, centred, scaled to the unit ball, 16 bits; part = pin where the material is a pin "
        "material; models without both parts, and all files under another licence, left out; changed from the original")
