"""Numbers say no more than is known, and never something else: rounding, in one place.

The kind: a printed number that says something else than the number (an end of an interval rounded
onto zero; a mean of 3.73 with sd 1.03 as "4"). Siblings looked at: repr, HTML, the sentence,
bounds, the plots of one number and of several, the report's tables, the terminal, comparison, prior
and posterior: all take their digits from `draws.digits`.
"""

from __future__ import annotations

import re
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from bayescausal.draws.digits import (
    decimals,
    end_text,
    level_text,
    numbers,
    rows_text,
    significant,
)
from bayescausal.effects.effect import Effect
from bayescausal.effects.estimands import ATE
from bayescausal.effects.evaluation.population_units import plural
from bayescausal.figures.effects import plot_effect
from bayescausal.figures.forest import plot_forest
from bayescausal.reporting.page.blocks import grid
from bayescausal.reporting.terminal import answer_cells, print_frame
from bayescausal.sensitivity.confounding.evalues import e_value
from bayescausal.sensitivity.confounding.hidden_record import HiddenConfounder


@pytest.mark.parametrize("sd", [0.00123, 0.0996, 0.1, 0.13, 0.996, 1.03, 3.7, 9.96, 30.0])
def test_two_significant_digits_of_the_sd_are_shown_and_no_third(sd):
    """By definition: the shown sd is the sd to two significant digits, and has as many."""
    shown = f"{sd:.{decimals(sd)}f}"
    assert float(shown) == float(f"{sd:.2g}")
    assert len(shown.replace(".", "").lstrip("0")) == 2


@pytest.mark.parametrize("seed", range(3))
def test_an_end_is_on_the_side_of_zero_and_of_no_effect_where_it_is(seed):
    rng = np.random.default_rng(seed)
    for _ in range(300):
        sd = 10 ** rng.uniform(-3, 4)
        null = float(rng.choice([0.0, 1.0, -2.0]))
        value = null + sd * 10 ** rng.uniform(-4, 0) * rng.choice([-1, 1])
        shown = float(end_text(value, decimals(sd), [null]).replace(",", ""))
        for apart in (0.0, null):
            assert np.sign(shown - apart) == np.sign(value - apart), (value, sd, null)
        places = decimals(sd)
        assert abs(shown - value) <= 0.5 * 10.0**-places * (1 + 1e-9)


def posterior(mean: float, sd: float, low: float, high: float) -> Effect:
    """Return an effect whose HDI is known: equally likely draws between the ends, and the mean."""
    draws = np.linspace(low, high, 940)
    draws = np.concatenate([draws, np.linspace(low - 1e-9 - (high - low), low - 1e-9, 60)])
    return Effect(draws, ATE("x", "y"))


def test_every_place_shows_the_same_digits_and_no_end_becomes_zero(capsys):
    effect = posterior(0, 0, -0.728, -0.023)
    low, high = effect.interval()
    sd = float(effect.sd())
    assert 0.1 < sd < 1
    mean, first, last = numbers(sd, float(effect), low, high, ends=True)
    assert float(last) < 0
    assert f"{mean}, 94% HDI [{first}, {last}]" in repr(effect)
    for text in (mean, first, last):
        assert f"<td>{text}</td>" in effect._repr_html_()
    assert f"{last[1:]} to {first[1:]} lower" in effect.sentence()
    assert answer_cells(effect) == (mean, f"[{first}, {last}]")
    legend = plot_effect(effect).get_legend()
    said = [t.get_text() for t in legend.get_texts()]
    assert f"94% HDI {first} to {last}" in said
    written = [t.get_text() for t in plot_forest([effect]).texts]
    assert f"{mean}  [{first}, {last}]" in written
    row = grid(effect.summary(), "", null=0.0)
    for text in (mean, first, last):
        assert text in row.rows[0]
    print_frame(effect.summary().set_axis(["a"]), null=0.0)
    shown = capsys.readouterr().out.split()
    for text in (mean, first, last):
        assert text in shown


def test_a_ratio_is_not_rounded_onto_one():
    draws = np.linspace(1.002, 1.6, 1000)
    effect = Effect(draws, ATE("x", "y", scale="ratio"))
    low, _ = effect.interval()
    [said] = re.findall(r"HDI \[([\d.]+),", repr(effect))
    assert (float(said) > 1) == (low > 1)
    assert float(said) > 1


def test_one_style_for_every_size():
    """No exponents among thousands, thousands set apart everywhere."""
    texts = [significant(v) for v in (-814.2, 1078, 60312.4, 1734.0, 0.5)]
    assert texts == ["-814.2", "1,078", "60,312", "1,734", "0.5"]
    table = pd.DataFrame({"mean": [60312.4], "sd": [1734.0], "mcse_mean": [27.4], "r_hat": [1.0]})
    assert rows_text(table).iloc[0].tolist() == ["60,312", "1,734", "27", "1.000"]


@pytest.mark.parametrize("width", [40, 60, 80, 200])
def test_no_name_and_no_number_is_cut_on_a_narrow_terminal(capsys, monkeypatch, width):
    monkeypatch.setenv("COLUMNS", str(width))
    names = ["b_re78_re74", "b_re78_black:married", "sd_school"]
    columns = ["mean", "sd", "hdi94_lb", "hdi94_ub", "ess_bulk", "r_hat", "mc_error"]
    frame = pd.DataFrame(np.full((3, 7), 1234.5), index=names, columns=columns)
    print_frame(frame, first="parameter")
    shown = capsys.readouterr().out
    assert "…" not in shown
    assert "..." not in shown
    for word in (*names, *columns) if width > 40 else columns:
        assert word in shown
    assert max(map(len, shown.splitlines())) <= width


def test_levels_are_written_in_full():
    """Two levels that differ do not become one: 1,234,566 and 1,234,567 were both 1.23457e+06."""
    asked = ATE("x", "y", treated=1234567, control=1234566)
    effect = Effect(np.linspace(0.4, 0.6, 100), asked)
    assert "Raising x from 1234566 to 1234567 " in effect.sentence()
    assert effect.label == "ATE x -> y (1234567 against 1234566)"
    assert "do(x=1234567)" in asked.describe()
    assert "1234567" in asked.latex()
    assert level_text(0.1 + 0.2) == "0.3"
    assert level_text(1e20) == "1e+20"


def test_ends_of_a_surface_have_the_digits_of_its_sd():
    table = pd.DataFrame({"mean": [970.4], "sd": [373.2], "lower": [334.31], "upper": [1677.4]})
    assert rows_text(table).iloc[0].tolist() == ["970", "373", "334", "1,677"]


def test_an_e_value_is_not_rounded_onto_one():
    """E = RR + sqrt(RR (RR - 1))."""
    ratio = 1.00002
    said = e_value(ratio).sentence()
    assert f"{ratio + np.sqrt(ratio * (ratio - 1)):.4f}" != "1.0000"
    assert "risk ratio of 1.00002." in said
    assert "ratios of 1.00 each" not in said


def test_the_tipping_point_that_there_is_is_said():
    """At the largest strength the data may allow nothing on the outcome; a smaller one tips."""
    tips = pd.DataFrame({"mean": [np.nan, 1306.4, -1306.4, np.nan]}, index=[-4.0, -2.0, 2.0, 4.0])
    record = SimpleNamespace(
        effect=Effect(np.linspace(800.0, 1000.0, 100), ATE("t", "y")),
        tipping_point=tips,
        confounder=SimpleNamespace(treatment="t", outcome="y"),
        null=0.0,
        robustness_value=None,
        e_value=None,
        under_prior=None,
        _against_benchmarks=str,
    )
    said = HiddenConfounder.sentence(record)
    assert "A confounder that adds 2 to t must add -1,306 to y" in said
    record.tipping_point = tips * np.nan
    assert "No strength on this grid moves the mean" in HiddenConfounder.sentence(record)


def test_the_plural_of_what_a_dim_is_called():
    assert plural("class") == "classes"
    assert plural("country") == "countries"
    assert plural("parts") == "parts"


def test_no_name_is_folded_where_another_table_takes_the_columns(capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    names = ["b_income_region[south]", "b_income_Intercept"]
    columns = ["mean", "sd", "hdi94_lb", "hdi94_ub", "ess_bulk", "r_hat"]
    frame = pd.DataFrame([[369.0, 485, -581, 1263, 585, 1.0]] * 2, names, columns)
    frame.loc["b_income_Intercept", ["mean", "hdi94_lb", "hdi94_ub"]] = 15145.0, 13263.0, 17008.0
    print_frame(frame, first="parameter")
    assert names[0] in capsys.readouterr().out
