"""Our own calibration study: families of models, truths from the prior, ranks of the answers.

    python benchmarks/calibration.py --replicates 1000 --out calibration

runs every family (or those named), writes each study to a file as it goes (so that it can be
interrupted and continued), and prints the table of ``docs/calibration.md``. The same families are
run by ``pytest -m slow tests/checks/test_calibration_study.py``.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pymc as pm

import bayescausal as bc

UNITS = 50
OTHER_SIZES = (
    "30 in separation, 48 in hierarchical and slopes, 60 in crossed, 96 in logistic_groups, 12 x 4 "
    "in the panel"
)
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
    """z -> x -> y, and a latent u behind x and y; the instrument is strong."""
    with pm.Model(coords=UNIT) as model:
        a, b, c = pm.Normal("a", 1.5, 0.3), pm.Normal("b", 0, 1), pm.Normal("c", 1, 0.3)
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
        a, b = pm.Normal("a", 1, 0.3), pm.Normal("b", 0, 1)
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


def slopes():
    """Intercepts and effects of six schools, correlated: a Cholesky factor with an LKJ prior."""
    school = np.arange(48) % 6
    with pm.Model(coords={"school": range(6), "of": ["1", "t"], "pupil": range(48)}) as model:
        mean = pm.Normal("mean", 0, 1, dims="of")
        chol, _, _ = pm.LKJCholeskyCov("chol", n=2, eta=2, sd_dist=pm.Gamma.dist(4, 4, size=2))
        s = pm.Gamma("s", 4, 4)
        own = pm.MvNormal("own", mean, chol=chol, dims=("school", "of"))
        where = pm.Data("where", school, dims="pupil")
        t = pm.Bernoulli("t", 0.5, dims="pupil")
        pm.Normal("y", own[where, 0] + own[where, 1] * t, s, dims="pupil")
    asked = {"ATE": bc.ATE("t", "y"), "treated": bc.Expected("y", do={"t": 1})}
    return model, asked, {"units": None, "unit_dims": "pupil"}


def crossed():
    """Effects of five schools and of four teachers, crossed, each with a scale of its own."""
    place = np.arange(60)
    coords = {"school": range(5), "teacher": range(4), "pupil": range(60)}
    with pm.Model(coords=coords) as model:
        b, s = pm.Normal("b", 0, 1), pm.Gamma("s", 4, 4)
        one = pm.Normal("one", pm.Normal("mean", 0, 1), pm.Gamma("sd1", 4, 4), dims="school")
        two = pm.Normal("two", 0, pm.Gamma("sd2", 4, 4), dims="teacher")
        where = pm.Data("where", place % 5, dims="pupil")
        who = pm.Data("who", place % 4, dims="pupil")
        t = pm.Bernoulli("t", 0.5, dims="pupil")
        pm.Normal("y", one[where] + two[who] + b * t, s, dims="pupil")
    asked = {"ATE": bc.ATE("t", "y"), "treated": bc.Expected("y", do={"t": 1})}
    return model, asked, {"units": None, "unit_dims": "pupil"}


def curve():
    """A curve of a covariate, a Gaussian process of learned scale and length, and an effect."""
    with pm.Model(coords=UNIT) as model:
        z = pm.Normal("z", 0, 0.7, dims="unit")
        t = pm.Bernoulli("t", pm.math.sigmoid(z), dims="unit")
        length, height = pm.InverseGamma("length", 6, 6), pm.Gamma("height", 4, 4)
        process = pm.gp.HSGP(m=[8], L=[4.0], cov_func=height**2 * pm.gp.cov.ExpQuad(1, ls=length))
        basis, spectrum = process.prior_linearized(z[:, None])
        weight = pm.Normal("weight", 0, 1, shape=8)
        b, s = pm.Normal("b", 0, 1), pm.Gamma("s", 4, 4)
        pm.Normal("y", basis @ (spectrum * weight) + b * t, s, dims="unit")
    asked = {"ATE": bc.ATE("t", "y"), "ATT": bc.ATT("t", "y")}
    return model, asked, {"units": UNITS}


def shrinkage():
    """Six covariates whose coefficients share one scale with a heavy tail."""
    with pm.Model(coords=UNIT) as model:
        tau, s = pm.HalfCauchy("tau", 0.5), pm.Gamma("s", 4, 4)
        beta = pm.Normal("beta", 0, tau, shape=6)
        x = [pm.Normal(f"x{i}", 0, 1, dims="unit") for i in range(6)]
        pm.Normal("y", sum(beta[i] * x[i] for i in range(6)), s, dims="unit")
    asked = {"ATE": bc.ATE("x0", "y"), "treated": bc.Expected("y", do={"x0": 1.0})}
    return model, asked, {"units": UNITS}


def level():
    """A level that walks in time, unseen, and the effect of a treatment beside it."""
    with pm.Model(coords=UNIT) as model:
        walk, s = pm.Gamma("walk", 4, 8), pm.Gamma("s", 4, 4)
        start = pm.Normal.dist(0, 2)
        unseen = pm.GaussianRandomWalk("level", sigma=walk, init_dist=start, dims="unit")
        t = pm.Bernoulli("t", 0.4, dims="unit")
        pm.Normal("y", unseen + pm.Normal("b", 0, 1) * t, s, dims="unit")
    asked = {
        "ATE": bc.ATE("t", "y"),
        "treated": bc.Expected("y", do={"t": 1}),
    }
    return model, asked, {"units": UNITS, "observed": ["t", "y"]}


def separation():
    """A rare two-valued outcome with strong causes, 30 units: often all but separated."""
    with pm.Model(coords=UNIT) as model:
        i, b, c = pm.Normal("i", -1, 1), pm.Normal("b", 0, 2.5), pm.Normal("c", 0, 2.5)
        z = pm.Normal("z", 0, 1, dims="unit")
        t = pm.Bernoulli("t", logit_p=z, dims="unit")
        pm.Bernoulli("y", logit_p=i + b * t + c * z, dims="unit")
    asked = {"ATE": bc.ATE("t", "y"), "ATT": bc.ATT("t", "y")}
    return model, asked, {"units": 30}


def negative_binomial():
    """A count outcome with more spread than a Poisson one, of unknown size."""
    with pm.Model(coords=UNIT) as model:
        b, c, i = pm.Normal("b", 0, 0.5), pm.Normal("c", 0, 0.5), pm.Normal("i", 1, 0.5)
        size = pm.Gamma("size", 4, 1)
        z = pm.Normal("z", 0, 1, dims="unit")
        t = pm.Bernoulli("t", logit_p=z, dims="unit")
        pm.NegativeBinomial("y", mu=pm.math.exp(i + b * t + c * z), alpha=size, dims="unit")
    asked = {"ATE": bc.ATE("t", "y"), "ratio": bc.ATE("t", "y", scale="ratio")}
    return model, asked, {"units": UNITS}


def horseshoe():
    """Ten covariates, each coefficient with a scale of its own, and one scale for all."""
    with pm.Model(coords=UNIT | {"column": range(10)}) as model:
        tau, s = pm.HalfCauchy("tau", 0.3), pm.Gamma("s", 4, 4)
        own = pm.HalfCauchy("own", 1, dims="column")
        beta = pm.Normal("beta", 0, tau * own, dims="column")
        x = [pm.Normal(f"x{i}", 0, 1, dims="unit") for i in range(10)]
        pm.Normal("y", sum(beta[i] * x[i] for i in range(10)), s, dims="unit")
    return model, {"ATE": bc.ATE("x0", "y")}, {"units": UNITS}


def bounded():
    """Effects that cannot be negative, and one between bounds."""
    with pm.Model(coords=UNIT) as model:
        b, c = pm.HalfNormal("b", 0.5), pm.Uniform("c", -0.5, 0.5)
        a, s = pm.Normal("a", 0, 1), pm.Gamma("s", 4, 4)
        z = pm.Normal("z", 0, 1, dims="unit")
        t = pm.Bernoulli("t", logit_p=z, dims="unit")
        pm.Normal("y", a + b * t + c * z, s, dims="unit")
    asked = {"ATE": bc.ATE("t", "y"), "treated": bc.Expected("y", do={"t": 1})}
    return model, asked, {"units": UNITS}


def logistic_groups():
    """A two-valued outcome of pupils in eight schools whose intercepts share a law."""
    with pm.Model(coords={"school": range(8), "pupil": range(96)}) as model:
        mean, b, tau = pm.Normal("mean", 0, 1), pm.Normal("b", 0, 1), pm.Gamma("tau", 4, 4)
        own = pm.Normal("own", 0, tau, dims="school")
        where = pm.Data("where", np.arange(96) % 8, dims="pupil")
        t = pm.Bernoulli("t", 0.5, dims="pupil")
        pm.Bernoulli("y", logit_p=mean + own[where] + b * t, dims="pupil")
    return model, {"ATE": bc.ATE("t", "y")}, {"units": None, "unit_dims": "pupil"}


def shares():
    """Eight covariates whose coefficients share the variance that is explained (R2D2)."""
    with pm.Model(coords=UNIT | {"column": range(8)}) as model:
        a, b, sigma = pm.Normal("a", 0, 1), pm.Normal("b", 0, 1), pm.HalfNormal("sigma", 1)
        r2, phi = pm.Beta("r2", 1, 1), pm.Dirichlet("phi", np.ones(8), dims="column")
        beta = pm.Normal("beta", 0, sigma * pm.math.sqrt(phi * r2 / (1 - r2)), dims="column")
        x = [pm.Normal(f"x{i}", 0, 1, dims="unit") for i in range(8)]
        t = pm.Normal("t", x[0], 1, dims="unit")
        mean = a + b * t + sum(beta[i] * x[i] for i in range(8))
        pm.Normal("y", mean, sigma, dims="unit")
    return model, {"ATE": bc.ATE("t", "y")}, {"units": UNITS}


def unequal():
    """A treatment that moves the mean and the spread of the outcome, one confounder."""
    with pm.Model(coords=UNIT) as model:
        a, b, c, r = (pm.Normal(n, 0, 1) for n in ("a", "b", "c", "r"))
        s = pm.HalfNormal("s", 1)
        z = pm.Normal("z", 0, 1, dims="unit")
        t = pm.Bernoulli("t", logit_p=z, dims="unit")
        pm.Normal("y", a + b * t + c * z, s * pm.math.exp(r * (t - 0.5)), dims="unit")
    asked = {"ATE": bc.ATE("t", "y"), "ATT": bc.ATT("t", "y"), "unit": bc.ITE("t", "y")}
    return model, asked, {"units": UNITS}


FAMILIES = {
    f.__name__: f
    for f in (
        linear, mediator, logistic, poisson, ordered, hierarchical, instrument, panel,
        slopes, crossed, curve, shrinkage, level,
        separation, negative_binomial, horseshoe, bounded, logistic_groups, shares,
        unequal,
    )
}  # fmt: skip


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
    """Return the lines of one family in the table: every answer, and the worst parameter."""
    table = check.table.reset_index()
    chosen = table["kind"] != "parameter"
    worst = table[~chosen].nsmallest(1, "p")
    worst = worst.assign(
        quantity=f"worst of {int((~chosen).sum())} parameters: " + worst["quantity"]
    )
    shown = pd.concat([table[chosen], worst])
    shown.insert(0, "family", name)
    return shown


def method(check) -> str:
    """Return how the posteriors of a study were drawn."""
    rows = check.rows[check.rows["failure"] == ""]
    return ", ".join(sorted({part for m in set(rows["method"]) for part in m.split(", ")}))


HEAD = """# Our own calibration

Truths are drawn from the prior, data from the truth, a posterior from the data, and the answer is
ranked among the posterior's draws (`bc.calibrate`). If simulation, posterior, worlds and estimands
are right, ranks are uniform. This page is written by `benchmarks/calibration.py`, and can be made
again with

```console
$ uv run python benchmarks/calibration.py --replicates 1000 --out calibration
$ uv run python benchmarks/calibration.py --out calibration --docs docs/calibration.md
```

The verdict of a family rests on ranks: the smallest p-value, adjusted for the number of quantities
(Holm), fails below .01 and warns below .05. Of families that are right at most 1% fail. `p` is the
exact probability that ranks of a right posterior stray as far as these; `band` is the smallest of
the 95% and 99% simultaneous bands that the ranks keep to. Coverage of the 94% HDI stands beside
the content that an HDI of so many effective draws has under a normal posterior (a 94% HDI holds
.931 at 400 independent draws and .938 at 4,000); `z` is their difference in binomial standard
errors. For strongly skewed posteriors, such as that of the log-likelihood, the content is another
one, and the effect on a unit of a discrete outcome takes whole values, so that its intervals hold
more: coverage decides nothing. The coverage of `unit` is averaged over twenty units of each data
set; its ranks take one of them in turn. Units per data set: {units}.

What so many data sets can find is limited: 1,000 find a posterior sd that is 10% too small with
probability .64 outside the 99% band (.87 outside the 95% band), 500 with .28 (.56), 250 with .13
(.30). The column of replicates says how many were run.
"""


def markdown(studies) -> str:
    """Return the page."""
    verdicts = ["| family | model | fits | drawn by | verdict |", "|---|---|---|---|---|"]
    table = [
        "| family | quantity | replicates | p | band | coverage of 94% HDI | expected | z |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, check in studies.items():
        about = FAMILIES[name].__doc__.strip().rstrip(".")
        verdicts.append(
            f"| {name} | {about} | {check.replicates:,} | {method(check)} | {check.verdict} |"
        )
        for line in lines(name, check).itertuples():
            spread = np.sqrt(line.expected_94 * (1 - line.expected_94) / line.replicates)
            z = f"{(line.coverage_94 - line.expected_94) / spread:+.1f}"
            mine = check.rows[check.rows["estimand"] == line.quantity]
            z = "" if bool(mine["pooled"].any()) else z  # twenty units per data set
            table.append(
                f"| {name} | {line.quantity} | {line.replicates:,} | {line.p:.2f} | {line.inside} "
                f"| {line.coverage_94:.3f} | {line.expected_94:.3f} | {z} |"
            )
    return "\n".join(
        [
            HEAD.format(units=f"{UNITS} ({OTHER_SIZES})"),
            *_short(studies),
            "## Verdicts",
            "",
            *verdicts,
            "",
            "## Answers",
            "",
            *table,
            "",
            "![Ranks of every answer](calibration.png)",
            "",
            "*Distribution of the ranks less that of uniform ones, for every answer; bands of 95% "
            "and 99%.*",
            "",
        ]
    )


def _short(studies) -> list[str]:
    """Say which families have fewer fits than the 1,000 that the study is meant to have."""
    few = [f"{name} ({check.replicates:,})" for name, check in studies.items()
           if check.replicates < 1000]  # fmt: skip
    none = [name for name in FAMILIES if name not in studies]
    said = []
    if few:
        said += [f"**Shorter than the 1,000 fits that are meant:** {', '.join(few)}.", ""]
    if none:
        said += [f"**Not run, or fewer than 20 fits:** {', '.join(none)}.", ""]
    return said


def picture(studies, path: Path) -> None:
    """Draw the ranks of every answer."""
    import matplotlib as mpl

    mpl.use("Agg")
    from bayescausal.figures.checks.ranks import rank_panels

    shown = [
        (name, q)
        for name, check in studies.items()
        for q in check.table.index[check.table["kind"] != "parameter"]
    ]
    axes = rank_panels(len(shown))
    for ax, (name, quantity) in zip(axes, shown, strict=True):
        studies[name].plot(ax, quantity=quantity)
        ax.set_title(f"{name}: {quantity}", loc="left", fontsize="small")
        ax.set_ylabel("")
    for ax in axes[:-4]:  # once per column
        ax.set_xlabel("")
    axes[0].figure.savefig(path, dpi=70)


def finished(folder: Path):
    """Return the verdicts on the studies of a folder, as far as they went; nothing is run."""
    from bayescausal.checks.studies.calibrate_verdict import judge
    from bayescausal.checks.studies.collect import as_frame

    studies = {}
    for name in FAMILIES:
        path = folder / f"{name}.jsonl"
        if path.exists():
            entries = [json.loads(line) for line in path.read_text().split("\n")[1:-1]]
            done = {entry["replicate"]: entry["rows"] for entry in entries}
            if len(done) >= 20:
                rows = [row for number in sorted(done) for row in done[number]]
                studies[name] = judge(as_frame(rows), len(done), 99)
    return studies


def main() -> None:
    """Run the study and print its table."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("families", nargs="*", help=f"of {', '.join(FAMILIES)}; default: all")
    parser.add_argument("--replicates", type=int, default=1000)
    parser.add_argument("--out", type=Path, default=None, help="folder of the studies")
    parser.add_argument("--docs", type=Path, default=None, help="write the page, run nothing")
    given = parser.parse_args()
    if given.docs is not None:
        studies = finished(given.out)
        picture(studies, given.docs.with_suffix(".png"))
        given.docs.write_text(markdown(studies), encoding="utf-8")
        return
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
