"""What everyday work must cost: seconds and memory of each kind, beside what was asked for.

Every row is measured in a process of its own. *Cold* rows count all processor seconds of the
process, imports included, with what libraries keep on disk in place; *warm* rows count those of the
second run. The smaller of seconds and processor seconds is compared: the first count what others do
with the machine, the second threads that wait for each other.
"""

from __future__ import annotations

import os
import resource
import sys
import tempfile
import time
import warnings
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pandas as pd

from benchmarks.harness import Table, measure, number, processor

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["ROWS", "Row", "one", "run"]


class Row(NamedTuple):
    """One kind of work and what it must cost.

    Attributes
    ----------
    work : str
        Named in :data:`WORK`.
    what : str
    sizes : dict of str to int
        Arguments of the work.
    seconds : float
    warm : bool
        Whether the second run counts; the whole process otherwise.
    memory : float
        Peak in GB.
    slow : bool
        Whether it is left out of a quick run.
    """

    work: str
    what: str
    sizes: dict[str, Any]
    seconds: float
    warm: bool = True
    memory: float = float("inf")
    slow: bool = True


#: Work that returns a function to be timed, by name.
WORK: dict[str, Callable[..., Callable[[], Any]]] = {}


def _work(function: Callable[..., Callable[[], Any]]) -> Callable[..., Callable[[], Any]]:
    WORK[function.__name__] = function
    return function


def _fit(model: Any, data: Any, **options: Any) -> Any:
    import bayescausal as bc

    return bc.fit(model, data, **{"seed": 2, "progressbar": False, **options})


@_work
def hierarchy(case: str, units: int, groups: int) -> Callable[[], Any]:
    """Fit a hierarchy or curves, and ask for the average effect."""
    from benchmarks.hierarchies import CASES

    model, data = CASES[case](np.random.default_rng(1), units, groups)
    return lambda: _asked(_fit(model, data), "t", "y")


def _asked(fit: Any, treatment: str, outcome: str) -> dict[str, Any]:
    import bayescausal as bc

    row = bc.estimate(fit, bc.ATE(treatment, outcome)).summary().iloc[0]
    return {
        "answer": f"{row['mean']:.4f} ± {row['mcse_mean']:.1g}",
        "note": "; ".join(sorted(set(fit.methods.values()))),
        **_quality(fit),
    }


def _quality(fit: Any) -> dict[str, Any]:
    return {"ess": fit.diagnostics.ess_bulk, "r_hat": fit.diagnostics.r_hat}


@_work
def horseshoe(columns: int, units: int) -> Callable[[], Any]:
    """Fit a horseshoe: coefficients with scales of their own."""
    import pymc as pm

    rng = np.random.default_rng(1)
    x = rng.normal(size=(units, columns))
    b = np.where(np.arange(columns) < 5, 1.0, 0.0)
    t = rng.integers(0, 2, units)
    names = [f"x{i}" for i in range(columns)]
    data = pd.DataFrame(x, columns=names).assign(t=t, y=x @ b + 0.5 * t + rng.normal(size=units))
    with pm.Model(coords={"unit": [0], "column": names}) as model:
        of = pm.math.stack([pm.Data(n, np.zeros(1), dims="unit") for n in names], axis=1)
        treated = pm.Data("t", np.zeros(1), dims="unit")
        tau = pm.HalfCauchy("tau", 0.1)
        local = pm.HalfCauchy("local", 1, dims="column")
        z = pm.Normal("z", 0, 1, dims="column")
        mean = pm.Normal("a") + pm.Normal("effect") * treated + of @ (z * tau * local)
        pm.Normal("y", mean, pm.HalfNormal("sigma", 2), dims="unit")

    def work() -> dict[str, Any]:
        fit = _fit(model, data)
        return {**_asked(fit, "t", "y"), "divergences": fit.diagnostics.divergences}

    return work


@_work
def case(name: str, units: int) -> Callable[[], Any]:
    """Fit one of the models of the other tables, and ask for the average effect."""
    from benchmarks.models import MODELS

    named = MODELS[name]
    data = named.data(np.random.default_rng(1), units)
    return lambda: _asked(_fit(named.model(1), data), named.treatment, named.outcome)


@_work
def by_groups(units: int, groups: int) -> Callable[[], Any]:
    """Ask for the effect of each group."""
    import bayescausal as bc
    from benchmarks.hierarchies import CASES

    model, data = CASES["slopes"](np.random.default_rng(1), units, groups)
    fit = _fit(model, data)
    return lambda: bc.estimate(fit, bc.ATE("t", "y", by="g")).summary()


@_work
def instrument(units: int) -> Callable[[], Any]:
    """Fit an instrument with a latent common cause, and ask for the effect."""
    import pymc as pm

    rng = np.random.default_rng(1)
    z, u = rng.normal(size=(2, units))
    t = 0.8 * z + u + rng.normal(size=units)
    data = pd.DataFrame({"z": z, "t": t, "y": 0.5 * t - u + rng.normal(size=units)})
    with pm.Model(coords={"unit": [0]}) as model:
        z_ = pm.Normal("z", 0, 1, dims="unit")
        u_ = pm.Normal("u", 0, 1, dims="unit")
        a, c = pm.Normal("a"), pm.Normal("c")
        mean = a * z_ + pm.HalfNormal("load") * u_
        t_ = pm.Normal("t", mean, pm.HalfNormal("s"), dims="unit")
        pm.Normal("y", c * t_ + pm.Normal("d") * u_, pm.HalfNormal("r"), dims="unit")
    return lambda: _asked(_fit(model, data), "t", "y")


@_work
def skip_edges(equations: int, units: int) -> Callable[[], Any]:
    """Ask for the effect of the first on the last of a chain with skip edges."""
    import pymc as pm

    import bayescausal as bc

    rng = np.random.default_rng(1)
    values: list[Any] = []
    truth = {}
    with pm.Model(coords={"unit": [0]}) as model:
        for i in range(equations):
            mean: Any = 0.0
            for lag in (1, 3):
                if i >= lag:
                    mean = mean + pm.Normal(f"b{i}_{lag}") * values[i - lag]
                    truth[f"b{i}_{lag}"] = 0.5
            values.append(pm.Normal(f"v{i}", mean, 1, dims="unit"))
    data = bc.simulate(model, truth, units=units, seed=1)
    draws = {k: v + 0.01 * rng.normal(size=(4, 1000)) for k, v in truth.items()}
    last = f"v{equations - 1}"
    fit = bc.Fit(model, draws, data)

    def work() -> dict[str, Any]:
        effect = bc.estimate(fit, bc.ATE("v0", last))
        hand = [np.ones((4, 1000))]
        for i in range(1, equations):
            total = draws[f"b{i}_1"] * hand[i - 1]
            hand.append(total + (draws[f"b{i}_3"] * hand[i - 3] if i >= 3 else 0.0))
        gap = np.max(np.abs(np.asarray(effect.draws) / hand[-1] - 1))
        return {"answer": f"{gap:.0e} from the recursion"}

    return work


@_work
def logistic_columns(columns: int, units: int) -> Callable[[], Any]:
    """Fit a logistic equation of many columns."""
    import pymc as pm

    rng = np.random.default_rng(1)
    x = rng.normal(size=(units, columns))
    y = rng.binomial(1, 1 / (1 + np.exp(-x @ (0.3 * rng.normal(size=columns)))))
    names = [f"x{i}" for i in range(columns)]
    with pm.Model(coords={"unit": [0]}) as model:
        mean = pm.Normal("a")
        for n in names:
            mean = mean + pm.Normal(f"b_{n}") * pm.Data(n, np.zeros(1), dims="unit")
        pm.Bernoulli("y", logit_p=mean, dims="unit")
    data = pd.DataFrame(x, columns=names).assign(y=y)

    def work() -> dict[str, Any]:
        fit = _fit(model, data)
        return {"note": "; ".join(sorted(set(fit.methods.values()))), **_quality(fit)}

    return work


@_work
def mixed_equations(equations: int, units: int) -> Callable[[], Any]:
    """Fit a chain in which every fourth equation is Bernoulli or Poisson, and ask."""
    import pymc as pm

    import bayescausal as bc

    values: list[Any] = []
    truth = {}
    with pm.Model(coords={"unit": [0]}) as model:
        for i in range(equations):
            mean: Any = pm.Normal(f"a{i}")
            truth[f"a{i}"] = 0.1
            for lag in (1, 3):
                if i >= lag:
                    mean = mean + pm.Normal(f"b{i}_{lag}") * values[i - lag]
                    truth[f"b{i}_{lag}"] = 0.3
            if i % 8 == 3:
                values.append(pm.Bernoulli(f"v{i}", logit_p=mean, dims="unit"))
            elif i % 8 == 7:
                values.append(pm.Poisson(f"v{i}", pm.math.exp(mean), dims="unit"))
            else:
                sigma = pm.HalfNormal(f"s{i}")
                truth[f"s{i}"] = 0.7
                values.append(pm.Normal(f"v{i}", mean, sigma, dims="unit"))
    data = bc.simulate(model, truth, units=units, seed=1)
    return lambda: _asked(_fit(model, data), "v0", f"v{equations - 1}")


@_work
def holes(columns: int, units: int) -> Callable[[], Any]:
    """Fit equations with empty cells in their parents."""
    import pymc as pm

    rng = np.random.default_rng(1)
    names = [f"x{i}" for i in range(columns)]
    x = rng.normal(size=(units, columns))
    t = rng.binomial(1, 1 / (1 + np.exp(-x[:, 0])))
    y = x @ np.full(columns, 0.5) + t + rng.normal(size=units)
    x[rng.random(x.shape) < 0.1] = np.nan
    data = pd.DataFrame(x, columns=names).assign(t=t, y=y)
    with pm.Model(coords={"unit": [0]}) as model:
        parents = [
            pm.Normal(n, pm.Normal(f"m_{n}"), pm.HalfNormal(f"s_{n}"), dims="unit") for n in names
        ]
        t_ = pm.Bernoulli("t", logit_p=pm.Normal("p") + pm.Normal("q") * parents[0], dims="unit")
        mean = pm.Normal("a") + pm.Normal("effect") * t_
        for n, parent in zip(names, parents, strict=True):
            mean = mean + pm.Normal(f"b_{n}") * parent
        pm.Normal("y", mean, pm.HalfNormal("s"), dims="unit")
    return lambda: _asked(_fit(model, data), "t", "y")


@_work
def student(units: int) -> Callable[[], Any]:
    """Fit a regression with Student's noise: few unknowns, no closed form."""
    import pymc as pm

    rng = np.random.default_rng(1)
    x, t = rng.normal(size=units), rng.binomial(1, 0.5, units)
    data = pd.DataFrame({"x": x, "t": t, "y": 1 + 2 * t + x / 2 + rng.standard_t(4, units)})
    with pm.Model(coords={"unit": [0]}) as model:
        x_ = pm.Normal("x", 0, 1, dims="unit")
        t_ = pm.Bernoulli("t", 0.5, dims="unit")
        mean = pm.Normal("a", 0, 2) + pm.Normal("effect", 0, 2) * t_ + pm.Normal("c", 0, 2) * x_
        nu, s = pm.Gamma("nu", 2, 0.1), pm.HalfNormal("s", 2)
        pm.StudentT("y", nu=nu, mu=mean, sigma=s, dims="unit")
    return lambda: _asked(_fit(model, data), "t", "y")


@_work
def independences(nodes: int, edges: int) -> Callable[[], Any]:
    """List the independences that a random graph implies."""
    import bayescausal as bc

    rng = np.random.default_rng(1)
    pairs = np.argwhere(np.triu(np.ones((nodes, nodes)), 1))
    chosen = pairs[rng.choice(len(pairs), edges, replace=False)]
    graph = bc.parse_graph("; ".join(f"v{a} -> v{b}" for a, b in chosen))
    return lambda: {"answer": len(bc.implied_independences(graph, limit=2_000))}


def _count_fit(family: str, units: int, draws: int) -> Any:
    import pymc as pm

    import bayescausal as bc

    rng = np.random.default_rng(1)
    x = rng.normal(size=units)
    t = rng.integers(0, 2, units)
    with pm.Model(coords={"unit": [0]}) as model:
        x_, t_ = (pm.Data(n, np.zeros(1), dims="unit") for n in ("x", "t"))
        eta = pm.Normal("a") + pm.Normal("b") * t_ + pm.Normal("c") * x_
        if family == "poisson":
            pm.Poisson("y", pm.math.exp(eta), dims="unit")
        else:
            pm.Bernoulli("y", logit_p=eta, dims="unit")
    truth = {"a": 0.5, "b": 0.4, "c": 0.3}
    known = {"x": x, "t": t}
    data = bc.simulate(model, truth, units=units, seed=1, data=known)
    posterior = {k: v + 0.05 * rng.normal(size=(4, draws // 4)) for k, v in truth.items()}
    return bc.Fit(model, posterior, data)


@_work
def quantile(units: int, draws: int) -> Callable[[], Any]:
    """Ask for the effect on a quantile of a count."""
    import bayescausal as bc

    fit = _count_fit("poisson", units, draws)
    return lambda: bc.estimate(fit, bc.QTE("t", "y", q=0.9)).summary()


@_work
def many_effects(count: int, units: int) -> Callable[[], Any]:
    """Ask for many effects of a logistic model in one list."""
    import bayescausal as bc

    fit = _count_fit("bernoulli", units, 4000)
    asked = [bc.ATE("x", "y", treated=v, control=0) for v in np.linspace(0.1, 2, count)]
    return lambda: bc.estimate(fit, asked)


@_work
def dose(count: int, units: int) -> Callable[[], Any]:
    """Ask for a dose-response curve of a logistic model; the peak is what it adds."""
    import bayescausal as bc

    fit = _count_fit("bernoulli", units, 4000)
    question = bc.DoseResponse("x", "y", values=np.linspace(-2, 2, count))

    def work() -> dict[str, Any]:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        bc.estimate(fit, question).summary()
        after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return {"added": (after - before) / 2**20}

    return work


@_work
def unit_effects(units: int, draws: int) -> Callable[[], Any]:
    """Ask for the effect on each unit, and summarise all."""
    import pymc as pm

    import bayescausal as bc

    rng = np.random.default_rng(1)
    x, t = rng.normal(size=units), rng.integers(0, 2, units)
    with pm.Model(coords={"unit": [0]}) as model:
        x_, t_ = (pm.Data(n, np.zeros(1), dims="unit") for n in ("x", "t"))
        mean = pm.Normal("a") + pm.Normal("c") * x_ + (pm.Normal("b") + pm.Normal("d") * x_) * t_
        pm.Normal("y", mean, pm.HalfNormal("s"), dims="unit")
    truth = {"a": 0.0, "b": 0.5, "c": 1.0, "d": 0.3, "s": 1.0}
    data = bc.simulate(model, truth, units=units, seed=1, data={"x": x, "t": t})
    posterior = {k: v + 0.01 * rng.normal(size=(4, draws // 4)) for k, v in truth.items()}
    fit = bc.Fit(model, posterior, data)
    return lambda: bc.estimate(fit, bc.ITE("t", "y")).summary()


@_work
def family(name: str, units: int) -> Callable[[], Any]:
    """Fit a generalised linear equation of two columns."""
    import pymc as pm

    rng = np.random.default_rng(1)
    x, t = rng.normal(size=units), rng.integers(0, 2, units)
    eta = 0.5 + 0.4 * t + 0.3 * x
    y = {
        "logistic": lambda: rng.binomial(1, 1 / (1 + np.exp(-eta))),
        "poisson": lambda: rng.poisson(np.exp(eta)),
        "negative binomial": lambda: rng.negative_binomial(3, 3 / (3 + np.exp(eta))),
        "gamma": lambda: rng.gamma(2, np.exp(eta) / 2),
    }[name]()
    with pm.Model(coords={"unit": [0]}) as model:
        x_, t_ = (pm.Data(n, np.zeros(1), dims="unit") for n in ("x", "t"))
        line = pm.Normal("a") + pm.Normal("b") * t_ + pm.Normal("c") * x_
        if name == "logistic":
            pm.Bernoulli("y", logit_p=line, dims="unit")
        elif name == "poisson":
            pm.Poisson("y", pm.math.exp(line), dims="unit")
        elif name == "negative binomial":
            pm.NegativeBinomial("y", mu=pm.math.exp(line), alpha=pm.HalfNormal("k", 5), dims="unit")
        else:
            k = pm.HalfNormal("k", 5)
            pm.Gamma("y", alpha=k, beta=k / pm.math.exp(line), dims="unit")
    data = pd.DataFrame({"x": x, "t": t, "y": y})

    def work() -> dict[str, Any]:
        fit = _fit(model, data)
        return {"note": "; ".join(sorted(set(fit.methods.values()))), **_quality(fit)}

    return work


@_work
def report(units: int) -> Callable[[], Any]:
    """Write the report with all checks of one fit."""
    import bayescausal as bc
    from benchmarks.models import MODELS

    named = MODELS["coating"]
    data = named.data(np.random.default_rng(1), units)
    fit = _fit(named.model(1), data)

    def work() -> dict[str, Any]:
        with tempfile.TemporaryDirectory() as folder:
            question = bc.ATE(named.treatment, named.outcome)
            found = bc.report(
                fit, question, os.path.join(folder, "r.html"), seed=3, progressbar=False
            )
        return {"answer": f"{len(found.checks)} checks"}

    return work


@_work
def recovery(units: int, replicates: int) -> Callable[[], Any]:
    """Simulate and recover a study of random slopes."""
    import bayescausal as bc
    from benchmarks.hierarchies import CASES

    model, data = CASES["slopes"](np.random.default_rng(1), units, 50)
    truth = {"b": [0.0, 0.5], "sd": [1.0, 0.7], "c": 0.3, "sigma": 1.0}
    truth["z"] = np.random.default_rng(5).normal(size=(50, 2))
    known = data[["x", "t", "g"]]

    def work() -> dict[str, Any]:
        found = bc.recover(
            model, truth, bc.ATE("t", "y"), units=units, replicates=replicates, data=known, seed=1,
            progressbar=False,
        )  # fmt: skip
        row = found.summary().iloc[0]
        held = f"{row['coverage_94']:.2f} of 94% intervals"
        return {"answer": f"bias {row['bias']:.3f}, rmse {row['rmse']:.3f}, {held}"}

    return work


ROWS = (
    Row("hierarchy", "`(1 + t | g)`, 50 groups, 2,000 rows",
        {"case": "slopes", "units": 2_000, "groups": 50}, 3, slow=False),
    Row("hierarchy", "the same, 100,000 rows",
        {"case": "slopes", "units": 100_000, "groups": 50}, 3),
    Row("hierarchy", "the same, 1,000,000 rows",
        {"case": "slopes", "units": 1_000_000, "groups": 50}, 5),
    Row("hierarchy", "5,000 groups with 2 effects, 100,000 rows",
        {"case": "slopes", "units": 100_000, "groups": 5_000}, 15),
    Row("hierarchy", "crossed groups 200 and 100, 100,000 rows",
        {"case": "crossed", "units": 100_000, "groups": 200}, 20),
    Row("hierarchy", "two HSGP curves of 15, 500 rows",
        {"case": "curves", "units": 500, "groups": 15}, 5, slow=False),
    Row("hierarchy", "the same, 100,000 rows",
        {"case": "curves", "units": 100_000, "groups": 15}, 5),
    Row("horseshoe", "horseshoe of 100 columns, 10,000 rows",
        {"columns": 100, "units": 10_000}, 20, warm=False),
    Row("case", "coating, import to average effect, 1,000 rows",
        {"name": "coating", "units": 1_000}, 2, warm=False, slow=False),
    Row("case", "mixed logistic, 1,000,000 rows",
        {"name": "mixed", "units": 1_000_000}, 8, memory=1.5),
    Row("by_groups", "effect by 50 groups, 100,000 rows", {"units": 100_000, "groups": 50}, 2),
    Row("instrument", "instrument with a latent cause, 2,000 rows", {"units": 2_000}, 10),
    Row("skip_edges", "chain with skip edges, 20 equations, 5,000 rows",
        {"equations": 20, "units": 5_000}, 0.2, slow=False),
    Row("skip_edges", "50 equations", {"equations": 50, "units": 5_000}, 0.5),
    Row("skip_edges", "200 equations", {"equations": 200, "units": 5_000}, 3),
    Row("logistic_columns", "logistic equation of 50 columns, 2,000 rows",
        {"columns": 50, "units": 2_000}, 5, warm=False, memory=0.6, slow=False),
    Row("mixed_equations", "20 mixed equations, 2,000 rows",
        {"equations": 20, "units": 2_000}, 20, warm=False),
    Row("holes", "two columns with holes, 1,000 rows", {"columns": 2, "units": 1_000}, 6,
        warm=False),
    Row("student", "Student's regression, 1,000 rows", {"units": 1_000}, np.inf, warm=False),
    Row("independences", "first 2,000 independences of 200 nodes and 400 edges",
        {"nodes": 200, "edges": 400}, 2, slow=False),
    Row("quantile", "effect on a quantile of a count, 500 units, 4,000 draws",
        {"units": 500, "draws": 4_000}, 2, slow=False),
    Row("many_effects", "50 effects of one logistic model, 10,000 units",
        {"count": 50, "units": 10_000}, 2),
    Row("dose", "dose-response of 50 values, 10,000 units (memory: what it adds)",
        {"count": 50, "units": 10_000}, 2, memory=0.2),
    Row("unit_effects", "effects of 100,000 units, 1,000 draws, with summary",
        {"units": 100_000, "draws": 1_000}, 3, memory=1.6),
    Row("family", "logistic, 100,000 rows", {"name": "logistic", "units": 100_000}, np.inf),
    Row("family", "Poisson, 100,000 rows", {"name": "poisson", "units": 100_000}, np.nan),
    Row("family", "Negative Binomial, 100,000 rows",
        {"name": "negative binomial", "units": 100_000}, np.nan),
    Row("family", "Gamma, 100,000 rows", {"name": "gamma", "units": 100_000}, np.nan),
    Row("report", "report with all checks, coating, 1,000 rows", {"units": 1_000}, 8),
    Row("recovery", "recover: 200 studies of random slopes, 2,000 rows",
        {"units": 2_000, "replicates": 200}, 240, warm=False),
)  # fmt: skip


def one(work: str, warm: bool, sizes: dict[str, Any]) -> dict[str, Any]:
    """Do one kind of work, and return processor seconds, seconds, peak memory and the answer.

    Parameters
    ----------
    work : str
    warm : bool
        Whether to do it twice, and count the second.
    sizes : dict

    Returns
    -------
    dict
    """
    warnings.simplefilter("ignore")
    begun = time.perf_counter() - _age()
    prepared = processor()
    function = WORK[work](**sizes)
    before = prepared if not warm else processor()
    answer = function()
    cold = processor() - (0.0 if not warm else before)
    wall = time.perf_counter() - begun
    used = cold
    if warm:
        before, start = processor(), time.perf_counter()
        answer = function()
        used, wall = processor() - before, time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2 ** (
        30 if sys.platform == "darwin" else 20
    )
    extra = answer if isinstance(answer, dict) else {}
    return {"cpu": used, "cold": cold, "wall": wall, "memory": extra.get("added", peak), **extra}


def _age() -> float:
    """Return the processor seconds up to now: about the age of a process that never waited."""
    return time.process_time()


def run(quick: bool, only: str = "") -> list[Table]:
    """Return the table of targets, or of those whose description has some text."""
    rows: list[tuple[Any, ...]] = []
    versions: dict[str, str] = {}
    logistic = np.nan
    for row in ROWS:
        if (quick and row.slow) or not any(part in row.what for part in only.split("|")):
            continue
        m = measure("targets:one", work=row.work, warm=row.warm, sizes=row.sizes)
        if not m.found:
            rows.append((row.what, m.why, *[""] * 7))
            continue
        f = m.found
        versions.update(f["versions"])
        if row.sizes.get("name") == "logistic":
            logistic = min(f["cpu"], f["wall"])
        bound = 2 * logistic if np.isnan(row.seconds) else row.seconds
        met = min(f["cpu"], f["wall"]) <= bound and f["memory"] <= row.memory
        told = "" if np.isinf(bound) else f"< {number(bound)} s"
        if np.isfinite(row.memory):
            told += f", < {row.memory:g} GB"
        quality = f"{f['ess']:,.0f}" if "ess" in f else ""
        rows.append((
            row.what, "warm" if row.warm else "cold", told, number(f["cpu"]), number(f["wall"]),
            f"{f['memory']:.2f}", quality, f.get("answer", ""), f.get("note", ""),
            "" if np.isinf(bound) else "yes" if met else "no",
        ))  # fmt: skip
        print(*rows[-1], sep=" | ", flush=True)
    columns = (
        "work", "run", "target", "processor s", "s", "GB", "least ESS", "answer", "drawn by", "met",
    )  # fmt: skip
    note = (
        "4 chains of 1,000 draws. Warm: the second run in a process; cold: a whole process from "
        "its start, with what libraries keep on disk. Processor seconds are of all threads, of "
        "those that wait as well. Met: by the smaller of both numbers of seconds, which a machine "
        "without other work does not exceed."
    )
    return [Table("What everyday work costs", note, columns, rows, versions)]
