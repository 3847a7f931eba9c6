"""Random models of areas, schools, pupils, hidden causes and empty cells: every integral is exact.

What is integrated out is left to the code; the oracle is the whole log-density, whose value, slope
and curvature in all that went are read off its values alone.
"""

from __future__ import annotations

import numpy as np
import pymc as pm
import pytensor.tensor as pt
import pytest
import xarray as xr
from test_inference_integrate import dense, logp

from bayescausal.inference import as_table, condition, conform
from bayescausal.inference.conditioning.remainder import Remainder, open_remainder
from bayescausal.model.structure.interpreted import PY_MODE
from bayescausal.model.structure.read import structure_of

pytestmark = pytest.mark.filterwarnings("ignore")


class Drawing:
    """A random model, as it is written."""

    def __init__(self, seed: int) -> None:
        self.rng = rng = np.random.default_rng(seed)
        units, schools, areas = (int(i) for i in rng.integers(2, 5, size=3))
        if self.chance(0.3):  # as many schools as pupils
            schools = units
        self.data = {
            "where": rng.integers(0, schools, units),
            "klass": rng.integers(0, areas, units),
            "z": rng.normal(size=units),
        }
        self.of = rng.integers(0, areas, schools)
        coords = {"unit": range(units), "school": range(schools), "area": range(areas)}
        self.area, self.school, self.unit = [], [], []
        with pm.Model(coords=coords) as self.model:
            self.seen = {n: pm.Data(n, v, dims="unit") for n, v in self.data.items()}
            self.in_area = pm.Data("of", self.of, dims="school")
            self.b, self.s = [pm.Normal(f"b{i}", 0, 0.7) for i in range(2)], pm.HalfNormal("s")
            for i in range(rng.integers(0, 3)):
                mean = self.coefficient() * (
                    self.area[-1] if self.area and self.chance(0.3) else 1.0
                )
                self.area.append(pm.Normal(f"a{i}", mean, self.spread(), dims="area"))
            for i in range(rng.integers(0, 3)):
                self.school.append(self.effect(i))
            for i in range(rng.integers(2, 6)):
                self.unit.append(self.column(f"x{i}", units))

    def chance(self, share: float) -> bool:
        return bool(self.rng.random() < share)

    def coefficient(self):
        b, s = self.b, self.s
        return [1.0, -0.6, b[0], b[1], b[0] * b[1], s][self.rng.integers(6)]

    def spread(self):
        return [self.s, 0.8, pt.exp(self.b[0]), 1 + 0.5 * self.s][self.rng.integers(4)]

    def effect(self, i: int):
        mean = 0.2
        for a in self.area:
            if self.chance(0.5):
                mean = mean + self.coefficient() * a[self.in_area]
        if self.school and self.chance(0.3):
            mean = mean + self.coefficient() * self.school[-1]
        made = pm.Normal(f"e{i}", mean, self.spread(), dims="school")
        return pm.Deterministic(f"d{i}", 2 * made + 1, dims="school") if self.chance(0.3) else made

    def mean(self):
        z = self.seen["z"]
        total = self.coefficient() * z if self.chance(0.5) else 0.1
        for e in self.school:
            if self.chance(0.5):
                slope = z if self.chance(0.25) else 1.0
                total = total + self.coefficient() * e[self.seen["where"]] * slope
        for a in self.area:
            if self.chance(0.2):  # crossed with the schools
                total = total + a[self.seen["klass"]]
            elif self.chance(0.2):
                total = total + self.coefficient() * a[self.in_area][self.seen["where"]]
        for u in self.unit:
            if self.chance(0.5):
                kind = self.rng.random()
                term = u * self.unit[0] if kind < 0.1 else pt.tanh(u) if kind < 0.15 else u
                total = total + self.coefficient() * ((term - z) / 2 if kind > 0.9 else term)
        return total

    def column(self, name: str, units: int):
        kind, role, rng = self.rng.random(), self.rng.random(), self.rng
        if kind < 0.1:
            self.data[name] = np.exp(0.5 * rng.normal(size=units))
            return pm.LogNormal(name, self.mean(), self.spread(), dims="unit")
        if kind < 0.2:
            self.data[name] = rng.integers(0, 2, units)
            return pm.Bernoulli(name, logit_p=self.mean(), dims="unit")
        made = pm.Normal(name, self.mean(), self.spread(), dims="unit")
        if role > 0.3:
            values = rng.normal(size=units)
            if role > 0.7:
                values[rng.random(units) < 0.5] = np.nan
                values[[0, -1]] = np.nan, 0.3
            self.data[name] = values
        return made


class Still:
    """Noise of zero: what is drawn is the mode."""

    def standard_normal(self, size):
        return np.zeros(size)


def check(seed: int, gradient: bool) -> int:
    """Compare value, way back and, if asked, gradient; return how many arrays went."""
    drawing = Drawing(seed)
    structure = structure_of(drawing.model, unit_dims="unit", named=list(drawing.data))
    conformed = conform(as_table(drawing.data, structure), structure)
    made = open_remainder(structure, conformed, Remainder()).integral
    if made is None:
        return 0
    gone = list(made.drawn(conformed.missing))
    known = condition(structure, conformed)
    start = known.model.initial_point()
    point = {n: 0.5 * drawing.rng.normal(size=np.shape(v)) for n, v in start.items()}
    left = {v.name: point[v.name] for v in made.model.value_vars}
    zero, slope, curve = dense(known, gone, left)
    mode = np.linalg.solve(curve, slope)
    expected = zero + slope @ mode / 2
    expected += len(slope) / 2 * np.log(2 * np.pi) - np.linalg.slogdet(curve)[1] / 2
    at = logp(made.model)
    assert float(at(left)) == pytest.approx(expected, rel=1e-7, abs=1e-7)

    natural = {
        n.removesuffix("_log__"): np.exp(v) if n.endswith("_log__") else v for n, v in left.items()
    }
    posterior = xr.Dataset({
        n: (("chain", "draw", *(f"{n}_{i}" for i in range(np.ndim(v)))), np.asarray(v)[None, None])
        for n, v in natural.items()
    })  # fmt: skip
    back = made.recover(posterior, Still(), missing=conformed.missing)
    flat = np.concatenate([back[n].ravel() for n in gone])
    np.testing.assert_allclose(flat, mode, rtol=1e-6, atol=1e-6)

    if gradient:  # central differences over 1e-5 are off by rounding
        found = made.model.compile_dlogp(mode=PY_MODE)(left)
        np.testing.assert_allclose(found, _differences(at, left), rtol=1e-4, atol=1e-4)
    return len(made.names)


def _differences(at, point, step=1e-5):
    out = []
    for name, value in point.items():
        for index in np.ndindex(value.shape):
            move = np.zeros(value.shape)
            move[index] = step
            ends = [float(at({**point, name: value + sign * move})) for sign in (1, -1)]
            out.append((ends[0] - ends[1]) / (2 * step))
    return out


def test_integrals_of_random_models():
    assert sum(check(seed, gradient=False) for seed in (2, 5, 13)) > 4


@pytest.mark.slow
@pytest.mark.parametrize("start", range(100, 200, 10))
def test_integrals_of_many_random_models(start):
    assert sum(check(seed, gradient=True) for seed in range(start, start + 10)) > 10
