"""Emoji: the same 3,500 pictures drawn by two vendors, Google (Noto) and Twitter (Twemoji), pair by pair, 32x32 RGBA.

Art made for a purpose, not photographs. The two vendors are a real shift of domain: the same concepts in another hand.
Splits keep base concepts together: skin tones, genders and directions of one picture are never in two parts.
"""

import io
import json
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from tinylib.core.errors import TinylibError
from tinylib.core.seed import rng
from tinylib.datasets.files import load_set, npm_package, save_set

VENDORS = ("google", "twitter")             # the only two folders with a free licence
CLASSES = ("face", "hand", "person", "animal", "plant", "food", "place", "transport", "flag", "object")
UNLABELLED = 255
PARTS = {"train": 0.6, "val": 0.2, "test": 0.2}
VERSION, SEED = "16.0.0", 1999
TONES = ("1F3FB", "1F3FC", "1F3FD", "1F3FE", "1F3FF")
GENDERED = {"1F468": "1F9D1", "1F469": "1F9D1"}         # man, woman -> person
DROPPED = {*TONES, "FE0F", "2640", "2642", "27A1", "200D"}      # tones, form, gender, direction, joiner


@dataclass(frozen=True)
class Emoji:
    """Aligned pictures: row i of `google` and of `twitter` show the same emoji.

    `google`, `twitter` (n, 32, 32, 4) uint8 RGBA, colour 0 where alpha is 0; `names` (n,) str; `labels` (n,) uint8, index into CLASSES
    or UNLABELLED; `groups` (n,) int, base concept; `tones` (n,) uint8, 0 for none, 1-5 from light to dark.
    """

    google: np.ndarray
    twitter: np.ndarray
    names: np.ndarray
    labels: np.ndarray
    groups: np.ndarray
    tones: np.ndarray
    kind: str

    def art(self, vendor: str) -> np.ndarray:
        """RGBA pictures of one vendor."""
        if vendor not in VENDORS:
            raise TinylibError(f"no vendor {vendor!r}; there are {VENDORS}")
        return getattr(self, vendor)

    def part(self, name: str, *, labelled: bool = True) -> np.ndarray:
        """Sorted row numbers of "train", "val" or "test" (60, 20, 20 % of the base concepts of each class, drawn with a fixed seed)."""
        if name not in PARTS:
            raise TinylibError(f"no part {name!r}; there are {tuple(PARTS)}")
        inside = np.isin(self.groups, _groups_of_part(self.groups, self.labels, name))
        return np.flatnonzero(inside & (self.labels != UNLABELLED) if labelled else inside)


def load() -> Emoji:
    """All pairs with names, classes and base concepts."""
    a, card = load_set("emoji")
    return Emoji(a["google"], a["twitter"], a["names"], a["labels"], a["groups"].astype(np.int64), a["tones"], card["kind"])


def on_colour(rgba: np.ndarray, colours: np.ndarray) -> np.ndarray:
    """Pictures (n, h, w, 4) laid on plain colours (n, 3) or (3,): uint8 (n, h, w, 3), rounded to nearest."""
    alpha = rgba[..., 3:].astype(np.uint32)
    under = np.broadcast_to(colours, (len(rgba), 3)).astype(np.uint32)[:, None, None, :]
    return ((rgba[..., :3] * alpha + under * (255 - alpha) + 127) // 255).astype(np.uint8)


def _groups_of_part(groups: np.ndarray, labels: np.ndarray, name: str) -> np.ndarray:
    """Base concepts of a part: each class's concepts are shuffled and cut 60 / 20 / 20. A concept belongs to its first row's class."""
    concepts, first = np.unique(groups, return_index=True)
    start = sum(share for part, share in PARTS.items() if list(PARTS).index(part) < list(PARTS).index(name))
    chosen = []
    for label in np.unique(labels[first]):
        members = rng(SEED, "split", label).permutation(concepts[labels[first] == label])
        chosen.append(members[round(start * len(members)):round((start + PARTS[name]) * len(members))])
    return np.concatenate(chosen)


def label_of(entry: dict) -> int:
    """Class of an entry of emoji.json; UNLABELLED where none of the ten fits (symbols, hearts, weather, clocks, activities)."""
    category, sub = entry["category"], entry["subcategory"]
    if category == "Smileys & Emotion":
        name = "face" if "face" in sub else None
    elif category == "People & Body":
        name = "hand" if sub.startswith("hand") else "person" if sub.startswith(("person", "family")) and sub != "person-symbol" else None
    elif category == "Animals & Nature":
        name = "animal" if sub.startswith("animal") else "plant" if sub.startswith("plant") else None
    elif category == "Food & Drink":
        name = "food" if sub != "dishware" else None
    elif category == "Travel & Places":
        name = "place" if sub.startswith(("place", "hotel")) else "transport" if sub.startswith("transport") else None
    else:
        name = {"Flags": "flag", "Objects": "object"}.get(category)
    return CLASSES.index(name) if name else UNLABELLED


def concept_of(entry: dict) -> str:
    """Key of the base concept: code points without tone, gender, direction; families and couples are one concept, and so are clock faces."""
    if entry["subcategory"] == "family":
        return "family"
    if entry["subcategory"] == "time" and entry["short_name"].startswith("clock"):
        return "clock"
    codes = [GENDERED.get(code, code) for code in entry["unified"].split("-") if code not in DROPPED]
    return "-".join(codes) or entry["unified"]


def halve(rgba: np.ndarray) -> np.ndarray:
    """(64, 64, 4) -> (32, 32, 4) uint8: mean of 2x2 pixels with colours weighted by alpha; colour 0 where nothing is seen."""
    blocks = rgba.reshape(32, 2, 32, 2, 4).astype(np.float64).transpose(0, 2, 1, 3, 4).reshape(32, 32, 4, 4)
    alpha = blocks[..., 3]
    weight = alpha.sum(-1, keepdims=True)
    colour = (blocks[..., :3] * alpha[..., None]).sum(2) / np.maximum(weight, 1)
    small = np.rint(np.concatenate([colour, weight / 4], axis=-1)).astype(np.uint8)
    small[small[..., 3] == 0] = 0
    return small


def rows(entries: list[dict]) -> list[tuple[str, dict, int]]:
    """(image file, entry, tone 0-5) of every emoji and its single-tone variants that both vendors drew."""
    found = []
    for entry in sorted(entries, key=lambda e: e["sort_order"]):
        variants = [(entry, 0)] + [(entry.get("skin_variations", {}).get(code), 1 + index) for index, code in enumerate(TONES)]
        found += [(v["image"], entry, tone) for v, tone in variants if v and all(v[f"has_img_{vendor}"] for vendor in VENDORS)]
    return [row for row in found if row[1]["category"] != "Component"]


def make() -> Path:
    """Remake `data/sets/emoji.npz` from the two npm packages, reading only the Google and Twitter folders; returns its path."""
    from PIL import Image

    with tempfile.TemporaryDirectory() as folder:
        art = {}
        for vendor in VENDORS:
            with tarfile.open(npm_package(f"emoji-datasource-{vendor}@{VERSION}", Path(folder))) as archive:
                if vendor == VENDORS[0]:
                    table = rows(json.load(archive.extractfile("package/emoji.json")))
                members = {Path(m.name).name: m for m in archive.getmembers() if m.name.startswith(f"package/img/{vendor}/64/")}
                pictures = [Image.open(io.BytesIO(archive.extractfile(members[file]).read())).convert("RGBA") for file, _, _ in table]
            art[vendor] = np.stack([halve(np.asarray(p if p.size == (64, 64) else p.resize((64, 64)))) for p in pictures])
    concepts = {key: index for index, key in enumerate(dict.fromkeys(concept_of(entry) for _, entry, _ in table))}
    return save_set(
        "emoji",
        {**art, "names": np.array([entry["short_name"] for _, entry, _ in table]),
         "labels": np.array([label_of(entry) for _, entry, _ in table], np.uint8),
         "groups": np.array([concepts[concept_of(entry)] for _, entry, _ in table], np.uint16),
         "tones": np.array([tone for _, _, tone in table], np.uint8)},
        title="Emoji of two vendors, pair by pair", source=f"npm packages emoji-datasource-google and emoji-datasource-twitter {VERSION} (list of names: MIT)",
        licence="Apache-2.0 (google) and CC BY 4.0 (twitter)", attribution="Noto Emoji, Copyright Google Inc.; Twemoji, Copyright Twitter, Inc and "
        "other contributors, https://github.com/jdecked/twemoji; emoji-data, Copyright 2013 Cal Henderson", kind="real",
        made="64x64 PNGs of both vendors, halved to 32x32, colours weighted by alpha; base emoji and five single skin tones; changed from the original")
