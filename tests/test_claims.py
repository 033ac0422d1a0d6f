"""Every claim that exists is complete, can be found again, and belongs to a lab."""

import pytest

from tinylib.core.paths import project_root
from tinylib.course.claims import load_claims, recipe
from tinylib.course.manifest import manifest

CLAIMS = load_claims()


def test_every_claim_belongs_to_a_lab():
    assert {claim.slug for claim in CLAIMS} <= {lab.slug for lab in manifest()}


@pytest.mark.parametrize("claim", CLAIMS, ids=lambda claim: claim.id)
def test_a_claim_can_be_found_again_and_has_enough_seeds(claim):
    assert callable(recipe(claim))
    assert claim.seeds >= 3 or claim.low == claim.high or claim.kind in ("simulated", "modelled", "emulated"), "an effect needs at least 3 seeds"


def test_every_lab_has_claims():
    labs = {lab.slug for lab in manifest() if lab.systems != ("foundations",)}
    assert labs <= {claim.slug for claim in CLAIMS}, "a lab shows an effect; its claim is in data/claims/<slug>.toml"


def test_readme_has_a_place_for_the_claims():
    readme = (project_root() / "README.md").read_text()
    assert "<!-- claims -->" in readme and "<!-- labs -->" in readme
