"""Kind: what stands in a formula or a table by accident is taken at its word.

Looked at: text columns that are numbers or dates, labels nearly as many as rows, dates, empty cells
of categories, zeros and ones under a Normal; names of columns that are those of parameters; powers
and products whose expansion does not end.
"""

from __future__ import annotations

import re
import time

import numpy as np
import pandas as pd
import pymc as pm
import pytest

import bayescausal as bc
from bayescausal.types import DataError, FormulaError

N = 60
RNG = np.random.default_rng(0)
DATA = pd.DataFrame(
    {
        "y": RNG.normal(size=N),
        "x": RNG.normal(size=N),
        "z": RNG.normal(size=N),
        "dose": [*(f"{v:.2f}" for v in np.linspace(0, 9, N - 1)), "n/a"],
        "day": [f"2020-{1 + i // 28:02d}-{1 + i % 28:02d}" for i in range(N)],
        "name": [f"p{i}" for i in range(N)],
        "town": [f"t{i % 15}" for i in range(N)],
        "when": pd.date_range("2020-01-01", periods=N),
        "hole": ["a", "b", None] * (N // 3),
        "yes": RNG.integers(0, 2, N),
    }
)

REFUSED = [
    ("y ~ dose", r"60 different ones in 60 rows.*but 'n/a'.*pd\.to_numeric"),
    ("dose ~ x", r"pd\.to_numeric\(data\['dose'\]"),
    ("y ~ day", r"look like dates.*to_datetime\(data\['day'\]\)"),
    ("y ~ name", r"60 different ones.*\(1 \| name\)"),
    ("y ~ when", r"holds dates.*\.dt\.days"),
    ("when ~ x", r"holds dates.*\.dt\.days"),
    ("y ~ hole", r"20 empty cells.*fillna\('missing'\).*not imputed"),
    ("y ~ (1 | hole)", r"20 empty cells.*fillna\('missing'\)"),
]


@pytest.mark.parametrize(("formula", "said"), REFUSED)
def test_columns_that_are_something_else_are_refused_with_what_to_do(formula, said):
    with pytest.raises(FormulaError, match=f"(?s){said}"):
        bc.model_from_formulas([formula], data=DATA)


WRITTEN = [
    ("{:.1f} kg", r"a unit \('kg'\): read them as numbers"),
    ("{:,.0f}", r"commas between thousands"),
    ("{:.1f}%", r"a unit \('%'\)"),
    ("${:,.2f}", r"a currency \('\$'\) and commas between thousands"),
    ("-{:.3f} m²", r"a unit \('m²'\)"),
]


@pytest.mark.parametrize(("written", "said"), WRITTEN)
def test_numbers_with_units_or_separators_are_told_how_to_be_read(written, said):
    """The code in the message gives back the numbers that were written."""
    numbers = np.linspace(1200, 98000, N)
    data = DATA.assign(x=[written.format(v) for v in numbers])
    with pytest.raises(FormulaError, match=said) as caught:
        bc.model_from_formulas(["y ~ x"], data=data)
    code = re.search(r"pd\.to_numeric\(.*\)", str(caught.value))[0]
    sign = -1 if written.startswith("-") else 1
    np.testing.assert_allclose(eval(code, {"pd": pd, "data": data}), sign * numbers, rtol=1e-3)
    assert "look like dates" not in str(caught.value)


def test_decimal_commas_mixed_units_and_house_numbers():
    for cells, said in (
        ([f"{v:.1f}".replace(".", ",") for v in range(N)], "decimal commas"),
        ([f"{v} g" if v % 2 else f"{v} kg" for v in range(N)], "convert them to one unit first"),
        ([f"{v}{chr(97 + v % 26)}" for v in range(N)], r"\(1 \| x\)"),
    ):
        with pytest.raises(FormulaError, match=said):
            bc.model_from_formulas(["y ~ x"], data=DATA.assign(x=cells))


def test_text_where_a_model_has_numbers_is_told_the_same():
    with pm.Model(coords={"unit": range(N)}) as model:
        x = pm.Data("x", np.zeros(N), dims="unit")
        pm.Normal("y", pm.Normal("b") * x, 1, dims="unit")
    cells = DATA.assign(x=[f"{v} kg" for v in range(N)])
    with pytest.raises(DataError, match=r"removesuffix\(' kg'\)"):
        bc.fit(model, cells, progressbar=False)


def test_many_levels_are_said_and_few_are_not():
    with pytest.warns(bc.FormulaWarning, match="15 different ones in 60 rows"):
        bc.model_from_formulas(["y ~ town"], data=DATA)
    bc.model_from_formulas(["y ~ (1 | name)"], data=DATA)  # groups share what they know
    bc.model_from_formulas(["y ~ (1 | when)"], data=DATA)
    filled = DATA.assign(hole=DATA.hole.astype(object).fillna("missing"))  # the advice works
    assert list(bc.model_from_formulas(["y ~ hole"], data=filled).coords["hole_level"]) == [
        "a",
        "b",
        "missing",
    ]


def test_zeros_and_ones_under_a_normal_are_noted():
    model = bc.model_from_formulas(["yes ~ 1"], data=DATA)
    fit = bc.fit(model, DATA, seed=1, draws=50, chains=2, progressbar=False)
    assert any("yes: holds 0 and 1 alone" in note for note in fit.notes)


@pytest.mark.parametrize(
    ("formulas", "said"),
    [
        (
            ["y ~ x_z", "y_x ~ z"],
            "x_z in the formula of 'y' and z in the formula of 'y_x'",
        ),
        (["y ~ sigma_y"], "the variable 'sigma_y' and sigma in the formula of 'y'.*'sigma_y'"),
        (["y ~ b_y_x + x"], "the variable 'b_y_x' and x in the formula of 'y'"),
    ],
)
def test_names_that_collide_are_both_named(formulas, said):
    names = ["y", "x", "z", "x_z", "y_x", "sigma_y", "b_y_x"]
    data = pd.DataFrame({n: RNG.normal(size=12) for n in names}).assign(g=list("abc") * 4)
    with pytest.raises(FormulaError, match=f"{said}.*Rename one of the columns"):
        bc.model_from_formulas(formulas, data=data)


@pytest.mark.parametrize(
    ("right", "said"),
    [
        ("(x + z)**20", r"2 terms to the power 20.*\*\*2 says the same"),
        ("(x + z)**60", r"2 terms to the power 60.*\*\*2 says the same"),
        ("(x + z)^60", "power 60"),
        ("((x * z)**4 + yes)**10", "power 10"),
        (" * ".join(f"x{i}" for i in range(20)), r"more than 10 terms.*\(a \+ b \+ c\)\*\*2"),
    ],
)
def test_expansions_without_end_are_refused_at_once(right, said):
    start = time.process_time()
    with pytest.raises(FormulaError, match=f"(?s){said}"):
        bc.model_from_formulas([f"y ~ {right}"], data=DATA)
    assert time.process_time() - start < 5


def test_a_power_is_a_number():
    with pytest.raises(FormulaError, match=r"power in brackets(.|\n)*positive integer"):
        bc.model_from_formulas(["y ~ (x + z)**(1 + 1)"], data=DATA)


def test_powers_that_end_are_expanded():
    model = bc.model_from_formulas(["y ~ (x + z + yes)**3"], data=DATA)
    assert len([n for n in model.named_vars if n.startswith("b_y_")]) == 8
    many = pd.DataFrame({f"v{i}": RNG.normal(size=30) for i in range(26)})
    right = " + ".join(f"v{2 * i} * v{2 * i + 1}" for i in range(12))
    assert "b_v24_v0:v1" in bc.model_from_formulas([f"v24 ~ {right}"], data=many).named_vars
