"""Every claim that exists is complete, can be found again, and belongs to a lab."""

from tinylib.core.paths import project_root
from tinylib.course.claims import load_claims, recipe
from tinylib.course.manifest import manifest

CLAIMS = load_claims()
WITHOUT_EFFECT = {"start_here", "capstone"}     # they teach no published system


def test_every_claim_belongs_to_a_lab():
    assert {claim.slug for claim in CLAIMS} <= {lab.slug for lab in manifest()}


def test_claims_can_be_found_again_and_have_enough_seeds():
    for claim in CLAIMS:
        assert callable(recipe(claim))
        exact = claim.kind != "measured here" or "one seed" in claim.ours or "exact" in claim.ours     # what has no spread says why
        timing = claim.unit == "times as fast"      # its interval is over paired runs of one network, not over seeds
        assert claim.seeds >= 3 or exact or timing, f"{claim.id}: an effect needs at least 3 seeds"


def test_every_lab_with_an_effect_has_claims():
    labs = {lab.slug for lab in manifest()} - WITHOUT_EFFECT
    assert labs <= {claim.slug for claim in CLAIMS}, "a lab shows an effect; its claim is in data/claims/<slug>.toml"


def test_readme_has_a_place_for_the_claims():
    readme = (project_root() / "README.md").read_text()
    assert "<!-- claims -->" in readme and "<!-- labs -->" in readme
