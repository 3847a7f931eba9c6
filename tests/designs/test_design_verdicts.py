"""The verdict on each design's effects names the assumption that identifies them."""

from __future__ import annotations

import pymc as pm
import pytensor.tensor as pt
import pytest
from test_coverage import DESIGNS

import bayescausal as bc

ASSUMED = {
    "cohorts": ("by_event_time", "parallel trends"),
    "jump": ("at_cutoff", "continuity at the cutoff"),
    "fuzzy_jump": ("LATE", "threshold as an instrument"),
    "series": ("average", "the trend continues"),
    "weighted_donors": ("ATT", "the match continues"),
    "encouraged": ("LATE", "instrument"),
    "compliers": ("LATE", "principal strata"),
}


@pytest.mark.parametrize("name", ASSUMED)
def test_the_verdict_names_what_the_design_assumes(name):
    effect, method = ASSUMED[name]
    design, _, _ = DESIGNS[name]()
    found = bc.identify(design, design.effects[effect])
    assert (found.status, found.method) == ("under assumption", method)
    assert not found
    assert found.assumptions or found.instruments
    plain = bc.identify(design.model, design.effects[effect])
    assert plain.method == method  # the model alone remembers what it has no column of


def test_what_a_design_has_no_column_of_is_not_adjusted_for():
    design, _, _ = DESIGNS["encouraged"]()
    ax = bc.plot_graph(design.model, treatment="x", outcome="y")
    words = {text.get_text() for text in ax.texts}
    assert "common_cause" in words
    assert "adjusted for" not in words
    assert "common_cause [latent]" in bc.to_text(design.model)


def test_an_outcome_that_jumps_by_itself_is_no_fuzzy_design():
    """The same equations but for a jump of the outcome's own at the cutoff."""
    with pm.Model(coords={"unit": [0, 1]}) as model:
        r = pm.Data("r", [-0.5, 0.5], dims="unit")
        above = pm.Deterministic("above", pt.ge(r, 0) * 1.0, dims="unit")
        u, b = pm.Normal("u", dims="unit"), pm.Normal("b", shape=5)
        d = pm.Normal("d", b[0] * above + u, 1, dims="unit")
        pm.Normal("meets", b[1] * d + b[2] * r + b[3] * above * r + u, 1, dims="unit")
        pm.Normal("jumps", b[1] * d + b[2] * r + b[3] * above * (r + 1) + u, 1, dims="unit")
    seen = ["r", "d", "meets", "jumps"]
    assert bc.identify(model, "d", "meets", observed=seen).method == "threshold as an instrument"
    assert bc.identify(model, "d", "jumps", observed=seen).status == "not identified"
