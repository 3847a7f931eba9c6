"""The effect record: numbers, arithmetic, and how it is shown."""

from __future__ import annotations

import json
import subprocess
import sys
from html.parser import HTMLParser

import numpy as np
import pytest
import xarray as xr

from bayescausal.effects.effect import Effect
from bayescausal.effects.estimands import ATE, DoseResponse, Expected
from bayescausal.effects.words.rendering import decimals, number_text
from bayescausal.types import DataError, EstimandError, UndefinedEffectError


def _draws(seed=1, mean=-0.42, sd=0.013):
    return np.random.default_rng(seed).normal(mean, sd, size=(4, 500))


def _curve(seed=2):
    data = np.random.default_rng(seed).normal(1.0, 0.1, size=(2, 100, 3))
    return xr.DataArray(data, dims=("chain", "draw", "dose"), coords={"dose": [0.0, 1.0, 2.0]})


# --------------------------------------------------------------------------- numbers


def test_numbers_are_those_of_the_draws():
    x = _draws()
    effect = Effect(x, ATE("dilution", "coating"), mc_error=0.001, seed=3)
    assert effect.mean() == float(effect) == pytest.approx(x.mean(), abs=1e-15)
    assert effect.sd() == pytest.approx(x.std(ddof=1), rel=1e-12)
    low, high = effect.interval()
    assert ((x >= low) & (x <= high)).mean() >= 0.94
    assert effect.interval(kind="eti") == pytest.approx(np.quantile(x, [0.03, 0.97]))
    assert effect.probability() == (x > 0).mean()
    assert effect.probability(above=-0.42) == (x > -0.42).mean()
    assert effect.probability(below=-0.42) == (x < -0.42).mean()
    assert effect.probability(between=(-0.43, -0.41)) == ((x >= -0.43) & (x <= -0.41)).mean()
    assert effect.null == 0.0
    assert effect.dims == ()


def test_summary_is_tidy():
    table = Effect(_draws(), ATE("X", "Y"), mc_error=0.001).summary()
    assert list(table.columns) == [
        "mean", "sd", "hdi94_lb", "hdi94_ub",
        "ess_bulk", "ess_tail", "r_hat", "mcse_mean", "mc_error",
    ]  # fmt: skip
    assert table.index.tolist() == ["ATE X -> Y"]
    assert table["mc_error"].item() == 0.001
    assert np.isnan(Effect([1.0]).summary()["mc_error"].item())
    assert "eti80_ub" in Effect(_draws()).summary(prob=0.8, kind="eti")


def test_cells_have_a_row_each():
    error = xr.DataArray([0.1, 0.2, 0.3], dims="dose")
    effect = Effect(_curve(), DoseResponse("dose", "Y", values=[0, 1, 2]), mc_error=error)
    table = effect.summary()
    assert table.index.name == "dose"
    assert table["mc_error"].tolist() == [0.1, 0.2, 0.3]
    assert effect.mean().dims == effect.sd().dims == effect.probability().dims == ("dose",)
    assert effect.interval().dims == ("dose", "ci_bound")
    assert effect.null is None or effect.null == 0.0


def test_bounds_stand_beside_the_answer():
    x = np.full((1, 4), 0.45)
    ends = xr.DataArray(
        np.stack([x - 0.05, x + 0.05], axis=-1),
        dims=("chain", "draw", "bound"),
        coords={"bound": ["lower", "upper"]},
    )
    effect = Effect(x, bounds=ends)
    assert effect.summary()[["bound_lb", "bound_ub"]].to_numpy().ravel() == pytest.approx(
        [0.4, 0.5]
    )
    assert repr(effect) == "Effect: 0.45, bounds [0.4, 0.5]"
    assert (-effect).summary()[["bound_lb", "bound_ub"]].to_numpy().ravel() == pytest.approx(
        [-0.5, -0.4]
    )
    with pytest.raises(EstimandError, match=r"Bounds with sizes.*'bound': 2"):
        Effect(x, bounds=ends.isel(bound=[0]))


def test_an_effect_of_known_parameters_is_one_draw():
    effect = Effect(-0.421, ATE("dilution", "coating"))
    assert repr(effect) == "ATE dilution -> coating: -0.421"
    assert np.isnan(effect.sd())
    assert effect.interval() == (-0.421, -0.421)


def test_several_cells_are_not_one_number():
    with pytest.raises(EstimandError, match=r"several cells \(dose: 3\).*mean\(\)"):
        float(Effect(_curve()))


@pytest.mark.parametrize("bad", [[1.0, np.nan], np.ones((2, 2, 2)), []])
def test_what_is_no_set_of_draws_is_refused(bad):
    with pytest.raises(DataError):
        Effect(bad)


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"above": 0.0, "below": 1.0}, "probability\\(\\) of above, below"),
        ({"below": 0, "between": (0, 1)}, "of below, between"),
        ({"above": None}, "of nothing"),
        ({"above": "0.1x"}, "above='0.1x'.*A number"),
        ({"above": np.nan}, "above=nan"),
        ({"between": (1, 0)}, "low <= high"),
        ({"between": 1}, "low <= high"),
    ],
)
def test_a_probability_of_one_place_only(asked, message):
    with pytest.raises(EstimandError, match=message):
        Effect([1.0, 2.0]).probability(**asked)


# ------------------------------------------------------------------------ arithmetic


def test_effects_combine_draw_by_draw():
    x, y = _draws(1), _draws(2)
    a, b = Effect(x, ATE("X", "Y"), mc_error=0.1), Effect(y, ATE("X", "W"), mc_error=0.2)
    for combined, draws in (
        (a - b, x - y),
        (a + b, x + y),
        (a / b, x / y),
        (a * b, x * y),
        (-a, -x),
        (a - 1, x - 1),
        (1 - a, 1 - x),
        (2 * a, 2 * x),
        (a / 2, x / 2),
        (1 / a, 1 / x),
        (a + np.float64(1), x + 1),
    ):
        np.testing.assert_allclose(combined.draws, draws, rtol=1e-15)
        assert combined.estimand is None
    assert (a - b).draws.name == "(ATE X -> Y) - (ATE X -> W)"
    assert float((a - a).sd()) == 0.0


def test_what_goes_with_a_combination():
    a = Effect([1.0, 2.0], mc_error=0.1, seed=1, population="p", notes=("n",), null=1.0)
    b = Effect([3.0, 4.0], mc_error=0.2, seed=1, population="p", notes=("n", "m"))
    d = a - b
    assert d.mc_error == pytest.approx(0.3)
    assert (d.seed, d.population, d.notes, d.null) == (1, "p", ("n", "m"), 0.0)
    assert (a / b).null == 1.0
    # |a/b| (ea/|a| + eb/|b|) at the means 1.5 and 3.5
    assert (a / b).mc_error == pytest.approx(1.5 / 3.5 * (0.1 / 1.5 + 0.2 / 3.5))
    assert (a * b).mc_error == pytest.approx(1.5 * 0.2 + 3.5 * 0.1)
    assert (2 * a).mc_error == pytest.approx(0.2)
    assert (a - 1).null == 0.0
    assert (-a).null == -1.0
    assert (a - Effect([1.0, 2.0])).mc_error is None
    assert (a - Effect([1.0, 2.0], seed=2, population="q")).population == "p; q"
    assert (a - Effect([1.0, 2.0], seed=2)).seed is None


def test_cells_are_matched_by_label():
    curve = Effect(_curve())
    flat = Effect(np.ones((2, 100)))
    np.testing.assert_allclose((curve - flat).draws, _curve() - 1)
    other = Effect(_curve().assign_coords(dose=[0.0, 1.0, 3.0]))
    with pytest.raises(EstimandError, match="differ in the labels of 'dose'"):
        curve - other


def test_draws_that_do_not_belong_together_are_refused():
    with pytest.raises(EstimandError, match="4 x 500 draws, Effect has 1 x 2000"):
        Effect(_draws()) - Effect(_draws().ravel())
    with pytest.raises(UndefinedEffectError, match="divides by zero"):
        Effect([1.0, 2.0]) / Effect([0.0, 1.0])
    with pytest.raises(TypeError):
        Effect([1.0]) - "1"


def test_labels_of_chains_and_draws_do_not_break_the_pairing():
    x = xr.DataArray(np.arange(6.0).reshape(2, 3), dims=("chain", "draw"))
    a = Effect(x.assign_coords(draw=[10, 11, 12]))
    b = Effect(x.assign_coords(draw=[0, 1, 2]))
    assert (a - b).draws.sizes == {"chain": 2, "draw": 3}
    assert float(a - b) == float(a - Effect(x)) == 0


# --------------------------------------------------------------------------- showing


def test_one_line():
    # a normal sample of exact quantiles: mean -0.42, and its 94% HDI is -0.42 -+ 1.88 * 0.0133
    from scipy.stats import norm

    x = norm.ppf((np.arange(4000) + 0.5) / 4000, -0.42, 0.0133)
    assert repr(Effect(x, ATE("dilution", "coating"))) == (
        "ATE dilution -> coating: -0.420, 94% HDI [-0.445, -0.395]"
    )
    assert repr(Effect(1000 * x, name="b")) == "b: -420, 94% HDI [-445, -395]"


@pytest.mark.parametrize(
    ("sd", "places"), [(0.0999, 2), (0.1, 2), (1.0, 1), (250.0, 0), (0.0, None), (1e-12, None)]
)
def test_digits_follow_the_spread(sd, places):
    assert decimals(sd) == places


def test_numbers_have_no_minus_zero():
    assert number_text(-0.001, 1) == "0.0"
    assert number_text(float("nan"), 1) == "-"


def test_several_cells_are_a_table():
    text = repr(Effect(_curve(), DoseResponse("dose", "Y", values=[0, 1, 2])))
    lines = text.splitlines()
    assert lines[0] == "DoseResponse dose -> Y"
    assert [line.split()[0] for line in lines[-3:]] == ["0.0", "1.0", "2.0"]
    many = Effect(xr.DataArray(np.ones((1, 2, 50)), dims=("chain", "draw", "unit")))
    assert repr(many).splitlines()[-1] == "... and 30 more rows"
    assert "and 30 more rows" in many._repr_html_()


class _Tags(HTMLParser):
    def __init__(self):
        super().__init__()
        self.open, self.seen = [], set()

    def handle_starttag(self, tag, attrs):
        self.seen.add(tag)
        if tag != "br":
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_html_is_escaped_and_closed():
    evil = "<script>alert('x')</script>&"
    draws = _curve().rename(dose=evil).assign_coords({evil: [evil, "b", "c"]})
    effect = Effect(
        draws, Expected(evil, {"X<1": "a&b"}), population=f"p {evil}", notes=[f"note {evil}"]
    )
    page = effect._repr_html_()
    tags = _Tags()
    tags.feed(page)
    assert tags.open == []
    assert "script" not in tags.seen
    assert "<script" not in page
    assert "do(X&lt;1=a&amp;b)" in page


def test_to_dict_is_json():
    effect = Effect(-0.421, ATE("X", "Y"), seed=np.int64(4), population="units", notes=["n"])
    back = json.loads(json.dumps(effect.to_dict(), allow_nan=False))
    assert back["estimand"] == "E[Y | do(X=1)] - E[Y | do(X=0)]"
    assert back["cells"][0]["mean"] == -0.421
    assert back["cells"][0]["sd"] is None
    assert (back["seed"], back["draws"], back["columns"]) == (4, 1, ["hdi94_lb", "hdi94_ub"])
    cells = json.loads(json.dumps(Effect(_curve(), mc_error=0.0).to_dict(prob=0.5)))["cells"]
    assert [cell["dose"] for cell in cells] == [0.0, 1.0, 2.0]
    assert set(cells[0]) >= {"hdi50_lb", "hdi50_ub", "mc_error"}


def test_an_effect_is_frozen():
    with pytest.raises(AttributeError):
        Effect([1.0]).seed = 3


def test_estimands_and_effects_cost_no_pymc():
    code = (
        "import sys, bayescausal.effects.effect, bayescausal.effects.estimands;"
        "assert not {'pymc', 'pytensor', 'arviz', 'matplotlib'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
