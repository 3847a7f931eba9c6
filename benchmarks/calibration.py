"""Our own calibration study: families of models, truths from the prior, ranks of the answers.

    python benchmarks/calibration.py --replicates 1000 --out calibration

runs every family (or those named), writes each study to a file as it goes (so that it can be
interrupted and continued), and prints the table of ``docs/calibration.md``. The same families are
run by ``pytest -m slow tests/checks/test_calibration_study.py``.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pymc as pm

import bayescausal as bc

UNITS = 50
UNIT = {"unit": [0]}


def linear():
    """z -> x -> y, z -> y, all Gaussian, with an effect that differs by a group."""
    with pm.Model(coords=UNIT) as model:
        a, b, c, d = (pm.Normal(n, 0, 1) for n in ("a", "b", "c", "d"))
        s = pm.HalfNormal("s", 1)
        z = pm.Normal("z", 0, 1, dims="unit")
        t = pm.Bernoulli("t", pm.math.sigmoid(z), dims="unit")
        x = pm.Normal("x", a * z, 1, dims="unit")
        pm.Normal("y", b * x + c * z + d * t * z, s, dims="unit")
    asked = {
        "ATE": bc.ATE("x", "y"),
        "ATT": bc.ATT("t", "y"),
        "unit": bc.ITE("t", "y"),
        "superpopulation mean": bc.Expected("y", do={"x": 1.0}),
    }
    return model, asked, {"units": UNITS}


def logistic():
    """A two-valued treatment and outcome, one confounder."""
    with pm.Model(coords=UNIT) as model:
        a, b, c = (pm.Normal(n, 0, 1) for n in ("a", "b", "c"))
        z = pm.Normal("z", 0, 1, dims="unit")
        t = pm.Bernoulli("t", logit_p=a * z, dims="unit")
        pm.Bernoulli("y", logit_p=b * t + c * z, dims="unit")
    asked = {
        "ATE": bc.ATE("t", "y"),
        "ATT": bc.ATT("t", "y"),
        "unit": bc.ITE("t", "y", coupling="monotone"),
    }
    return model, asked, {"units": UNITS}


def poisson():
    """A count outcome."""
    with pm.Model(coords=UNIT) as model:
        a, b, c = pm.Normal("a", 0, 1), pm.Normal("b", 0, 0.5), pm.Normal("c", 0, 0.5)
        i = pm.Normal("i", 1, 0.5)
        z = pm.Normal("z", 0, 1, dims="unit")
        t = pm.Bernoulli("t", logit_p=a * z, dims="unit")
        pm.Poisson("y", pm.math.exp(i + b * t + c * z), dims="unit")
    asked = {
        "ATE": bc.ATE("t", "y"),
        "ATT": bc.ATT("t", "y"),
        "ratio": bc.ATE("t", "y", scale="ratio"),
        "unit": bc.ITE("t", "y", coupling="monotone"),
    }
    return model, asked, {"units": UNITS}


def mediator():
    """x -> m -> y and x -> y, with an interaction."""
    with pm.Model(coords=UNIT) as model:
        a, b, c, d = (pm.Normal(n, 0, 1) for n in ("a", "b", "c", "d"))
        sm, sy = pm.HalfNormal("sm", 1), pm.HalfNormal("sy", 1)
        x = pm.Bernoulli("x", 0.5, dims="unit")
        m = pm.Normal("m", a * x, sm, dims="unit")
        pm.Normal("y", b * x + c * m + d * x * m, sy, dims="unit")
    asked = {
        "TE": bc.TE("x", "y"),
        "NDE": bc.NDE("x", "y"),
        "NIE": bc.NIE("x", "y"),
        "ATT": bc.ATT("x", "y"),
        "unit": bc.ITE("x", "y"),
    }
    return model, asked, {"units": UNITS}


def instrument():
    """z -> x -> y, and a latent u behind x and y."""
    with pm.Model(coords=UNIT) as model:
        a, b, c = (pm.Normal(n, 0, 1) for n in ("a", "b", "c"))
        z = pm.Normal("z", 0, 1, dims="unit")
        u = pm.Normal("u", 0, 1, dims="unit")
        x = pm.Normal("x", a * z + u, 0.7, dims="unit")
        pm.Normal("y", b * x + c * u, 0.7, dims="unit")
    asked = {"ATE": bc.ATE("x", "y"), "unit": bc.ITE("x", "y")}
    return model, asked, {"units": UNITS, "observed": ["z", "x", "y"]}


def hierarchical():
    """Pupils in eight schools whose intercepts share a law; a treatment by pupil."""
    school = np.arange(48) % 8
    with pm.Model(coords={"school": range(8), "pupil": range(48)}) as model:
        mean, b = pm.Normal("mean", 0, 1), pm.Normal("b", 0, 1)
        tau, s = pm.Gamma("tau", 4, 4), pm.Gamma("s", 4, 4)
        raw = pm.Normal("raw", 0, 1, dims="school")
        where = pm.Data("where", school, dims="pupil")
        t = pm.Bernoulli("t", 0.5, dims="pupil")
        pm.Normal("y", mean + tau * raw[where] + b * t, s, dims="pupil")
    asked = {
        "ATE": bc.ATE("t", "y"),
        "ATT": bc.ATT("t", "y"),
        "treated": bc.Expected("y", do={"t": 1}),
        "unit": bc.ITE("t", "y"),
    }
    return model, asked, {"units": None, "unit_dims": "pupil"}


def panel():
    """Twelve persons, four weeks each; a latent trait behind treatment and outcome."""
    with pm.Model(coords={"person": range(12), "week": range(4)}) as model:
        a, b = pm.Normal("a", 0, 1), pm.Normal("b", 0, 1)
        s = pm.Gamma("s", 4, 4)
        trait = pm.Normal("trait", 0, 1, dims="person")
        x = pm.Normal("x", a * trait[:, None], 1, dims=("person", "week"))
        pm.Normal("y", b * x + trait[:, None], s, dims=("person", "week"))
    asked = {"ATE": bc.ATE("x", "y"), "treated": bc.Expected("y", do={"x": 1.0})}
    options = {"units": {"person": 12, "week": 4}, "unit_dims": ("person", "week")}
    return model, asked, options | {"observed": ["x", "y"]}


def ordered():
    """An outcome with four ordered levels."""
    with pm.Model(coords=UNIT) as model:
        b, c = pm.Normal("b", 0, 1), pm.Normal("c", 0, 1)
        first = pm.Normal("first", -1, 0.5)
        gaps = pm.Gamma("gaps", 4, 4, shape=2)
        cuts = pm.math.stack([first, first + gaps[0], first + gaps[0] + gaps[1]])
        z = pm.Normal("z", 0, 1, dims="unit")
        t = pm.Bernoulli("t", logit_p=z, dims="unit")
        pm.OrderedLogistic("y", eta=b * t + c * z, cutpoints=cuts, dims="unit")
    top = bc.Probability(at_least=2)
    asked = {
        "ATE of P(y >= 2)": bc.ATE("t", "y", functional=top),
        "ATT of P(y >= 2)": bc.ATT("t", "y", functional=top),
        "unit": bc.ITE("t", "y", coupling="monotone"),
    }
    return model, asked, {"units": UNITS}


FAMILIES = {
    f.__name__: f
    for f in (linear, mediator, logistic, poisson, ordered, hierarchical, instrument, panel)
}


def run(name: str, replicates: int, folder: Path | None = None, executor=None, **options):
    """Run one family, with a seed of its own."""
    model, asked, more = FAMILIES[name]()
    seed = 1000 + list(FAMILIES).index(name)
    path = None if folder is None else folder / f"{name}.jsonl"
    return bc.calibrate(
        model,
        asked,
        replicates=replicates,
        seed=seed,
        path=path,
        executor=executor,
        progressbar=False,
        **more,
        **options,
    )


def lines(name: str, check) -> pd.DataFrame:
    """Return the lines of one family in the table."""
    table = check.table.reset_index()
    chosen = table["kind"] != "parameter"
    worst = table[~chosen].nsmallest(1, "p")
    shown = pd.concat([table[chosen], worst])
    shown.insert(0, "family", name)
    rows = check.rows[check.rows["failure"] == ""]
    shown["method"] = ", ".join(sorted(set(", ".join(set(rows["method"])).split(", "))))
    return shown


def main() -> None:
    """Run the study and print its table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("families", nargs="*", choices=[*FAMILIES, []], default=[])
    parser.add_argument("--replicates", type=int, default=1000)
    parser.add_argument("--out", type=Path, default=None)
    given = parser.parse_args()
    if given.out is not None:
        given.out.mkdir(exist_ok=True, parents=True)
    for name in given.families or FAMILIES:
        start = time.perf_counter()
        check = run(name, given.replicates, given.out)
        print(f"{name}: {check.verdict}, {time.perf_counter() - start:.0f} s", flush=True)
        print(lines(name, check).to_string(), flush=True)
        for note in check.notes:
            print("  ", note, flush=True)


if __name__ == "__main__":
    main()
