"""Parts3d: material follows geometry, designs never straddle splits, the licence is the free one."""

import numpy as np
import pytest

from tinylib.datasets import parts3d
from tinylib.datasets.files import load_set
from tinylib.datasets.parts3d import CLASSES, UNIT, design, licences, meshes, part_of, sample, split_of

FILE = """#VRML V2.0 utf8
Shape { appearance Appearance {material DEF PIN-01 Material { diffuseColor 1 1 1 } } }
Shape { appearance Appearance {material DEF RES-THT-01 Material { diffuseColor 1 1 1 } } }
Shape { geometry IndexedFaceSet
{ creaseAngle 0.50 coordIndex [0,1,2,-1,0,2,3,-1]
coord Coordinate { point [0 0 0,1 0 0,1 1 0,0 1 0] }}
appearance Appearance{material USE RES-THT-01 }
}
Shape { geometry IndexedFaceSet
{ creaseAngle 0.50 coordIndex [0,1,2,-1]
coord Coordinate { point [5 0 0,9 0 0,5 3 0] }}
appearance Appearance{material USE PIN-01 }
}
"""


def test_the_material_follows_the_geometry():
    found = list(meshes(FILE))
    assert [(material, len(triangles)) for material, triangles in found] == [("RES-THT-01", 2), ("PIN-01", 1)]
    assert found[1][1][0].tolist() == [[5, 0, 0], [9, 0, 0], [5, 3, 0]]
    before = [m for m in FILE.replace("USE ", "DEF ").split("DEF ")[1:]]      # planted bug: the last material named before the geometry
    assert before[1].split()[0] == "RES-THT-01" and before[2].split()[0] == "RES-THT-01", "it would call the pin a body"


def test_points_fall_on_triangles_by_area():
    triangles = np.concatenate([t for _, t in meshes(FILE)])
    points, parts = sample(triangles, np.array([1, 1, 0]), 20_000, np.random.default_rng(0))
    assert (parts == 0).mean() == pytest.approx(6 / 7, abs=0.01)
    pins, body = points[parts == 0], points[parts == 1]
    assert (pins[:, 0] >= 5).all() and ((pins[:, 0] - 5) / 4 + pins[:, 1] / 3 <= 1 + 1e-9).all()
    assert (body[:, :2] >= 0).all() and (body[:, :2] <= 1).all()
    assert (body[:, 0] > body[:, 1]).mean() == pytest.approx(0.5, abs=0.03), "a triangle is covered evenly"


def test_sizes_of_one_design_have_one_name():
    for a, b in (("R_Axial_DIN0204_L3.6mm_D1.6mm_P5.08mm_Horizontal", "R_Axial_DIN0309_L9.0mm_D3.2mm_P12.70mm_Horizontal"),
                 ("SOIC-8_3.9x4.9mm_P1.27mm", "SOIC-16W_7.5x10.3mm_P1.27mm"), ("LQFP-48_7x7mm_P0.5mm", "TQFP-100_14x14mm_P0.5mm"),
                 ("PinHeader_1x01_P1.00mm_Vertical", "PinHeader_2x20_P2.54mm_Vertical"), ("LED_D3.0mm_Clear", "LED_D5.0mm_IRBlack")):
        assert design(a) == design(b)
    names = ["R_Axial_DIN0204_L3.6mm_Horizontal", "R_Axial_DIN0204_L3.6mm_Vertical", "TO-92_Inline", "TO-220-3_Horizontal_TabDown", "TO-247-3_Vertical"]
    assert len({design(name) for name in names}) == 5


def test_designs_are_dealt_out_whole():
    designs = np.repeat(["a", "b", "c", "d", "e", "f"], [30, 5, 5, 20, 10, 30])
    split = split_of(designs, "anything")
    assert all(len(np.unique(split[designs == d])) == 1 for d in "abcdef") and set(split) <= {0, 1, 2}


def test_the_last_licence_that_fits_counts():
    rules = licences("Format: x\n\nFiles: *\nCopyright: A\nLicense: CC-BY-SA\n\nFiles: B/*\n B/two.wrl\nCopyright: C\nLicense: GPL-3+\n text\n")
    assert rules == [("*", "CC-BY-SA"), ("B/*", "GPL-3+"), ("B/two.wrl", "GPL-3+")]


@pytest.fixture(scope="module")
def shipped():
    return load_set("parts3d")


def test_no_design_of_a_class_is_in_two_splits(shipped):
    a, _ = shipped
    seen = {}
    for kind, name, split in zip(a["kinds"], a["designs"], a["split"]):
        assert seen.setdefault((kind, name), split) == split
    assert all(design(n) == d for n, d in zip(a["names"], a["designs"]))
    by_file = np.random.default_rng(0).permutation(a["split"])          # planted bug: files dealt out one by one
    assert any(len(np.unique(by_file[(a["kinds"] == k) & (a["designs"] == d)])) > 1 for k, d in seen)


def test_every_class_is_in_training_and_test(shipped):
    a, card = shipped
    for split in (0, 2):
        assert set(a["kinds"][a["split"] == split]) == set(range(len(CLASSES)))
    assert card["licence"] == "CC BY-SA 4.0" and "KiCad" in card["attribution"] and card["kind"] == "real"


def test_clouds_are_whole_and_hold_both_parts(shipped):
    for clouds in parts3d.load():
        radius = np.linalg.norm(clouds.points, axis=1)
        assert np.abs(radius.max(1) - 1).max() < 2e-4 and clouds.points.dtype == np.float32
        share = (clouds.parts == 0).mean(1)
        assert share.min() >= 0.03 and share.max() <= 0.97
    assert shipped[0]["points"].dtype == np.int16 and UNIT < 2**15


def test_the_leads_of_a_resistor_are_pins(shipped):
    """An axial resistor that lies on its side: what reaches lowest are leads, what reaches highest is body."""
    a, _ = shipped
    lying = [i for i, name in enumerate(a["names"]) if name.startswith("R_Axial_DIN") and "Horizontal" in name]
    heights, parts = a["points"][lying][:, 2], a["parts"][lying]
    lowest = np.take_along_axis(parts, heights.argsort(1)[:, :4], 1)
    highest = np.take_along_axis(parts, heights.argsort(1)[:, -20:], 1)
    standing = [a["names"][i] for i, top in zip(lying, highest) if not (top == 1).all()]
    assert len(lying) > 10 and (lowest == 0).all()
    assert standing == ["R_Axial_DIN0309_L9.0mm_D3.2mm_P5.08mm_Horizontal"], "one model stands upright, against its name"


def test_materials():
    assert [part_of(m) for m in ("PIN-01", "PIN-02", "RES-THT-01", "MET-SILVER")] == [0, 0, 1, 1]
