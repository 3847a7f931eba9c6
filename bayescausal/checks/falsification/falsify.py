r"""Can the data refute the graph? Its implied independences, tested.

A graph claims that some variables are independent given others
(:func:`bayescausal.implied_independences`). Each claim is tested, by what suits the types of its
variables (:mod:`bayescausal.checks.falsification.independence_tests`). Of many claims that are true
some are rejected by chance, so the p-values are adjusted [1]_: with m claims and ordered
:math:`p_{(1)} \le \dots \le p_{(m)}`, a claim is *refuted* where

.. math::

    q_{(i)} = \min_{j \ge i} \frac{m\, p_{(j)}}{j} \le \alpha .

If the graph is right, at most a share :math:`\alpha` of data sets refutes any claim of it.

With much data every graph is refuted in something, so it is also compared with graphs that have the
same shape and the variables in other places [2]_: a graph that violates no fewer claims than
most of those says nothing about these variables. Where many of the permuted graphs make the *same*
claims (as a chain read backwards does) the comparison can tell little, and says so.

For each refuted claim, the graphs with one more edge between the two variables are tried: what the
data then still refute is reported, fewest first. Data cannot give the direction of an arrow
alone; suggestions are questions, not answers.

*When it fails.* Not refuted is not confirmed: too few rows, dependence of a kind that the tests do
not see, and graphs that make the same claims all pass. The rows are taken to be independent.
Missing values are left out claim by claim, which assumes that they are missing at random given the
claim's own variables.

References
----------
.. [1] Y. Benjamini and Y. Hochberg, "Controlling the false discovery rate", Journal of the Royal
   Statistical Society B 57, 1995; with Y. Yekutieli, The Annals of Statistics 29, 2001, under
   any dependence.
.. [2] E. Eulig, A. A. Mastakouri, P. Blöbaum, M. Hardt and D. Janzing, "Toward falsifying causal
   graphs using a permutation-based test", 2023, arXiv:2305.09565.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from bayescausal.checks.falsification.claims import Tester, adjusted, against_permuted
from bayescausal.checks.falsification.independence_tests import METHODS
from bayescausal.checks.falsification.record import Falsification
from bayescausal.checks.falsification.variables import categories_of, read_variables
from bayescausal.graph import build_graph, implied_independences, latents, nameless
from bayescausal.model.graph_queries.graph_of_anything import (
    graph_and_observed,
    is_model,
    structure_and_columns,
)
from bayescausal.types import EstimandError, GraphError, MixingError, UnitDimsError, closest

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    import networkx as nx
    import pymc as pm

    from bayescausal.annotations import Data, GraphLike
    from bayescausal.graph.structure.independences import Independence
    from bayescausal.inference.record import Fit

__all__ = ["falsify"]

CORRECTIONS = ("benjamini-hochberg", "benjamini-yekutieli", "none")

#: Edges are suggested for so many refuted claims, the strongest.
MOST_REPAIRED = 12


def falsify(
    model_or_graph: pm.Model | Fit | GraphLike,
    data: Data | None,
    *,
    level: float = 0.05,
    correction: str = "benjamini-hochberg",
    method: str = "auto",
    discrete: Mapping[str, bool] | None = None,
    observed: Iterable[str] | None = None,
    one_per_pair: bool = True,
    permutations: int = 50,
    suggest: bool = True,
    seed: int | None = None,
    unit_dims: str | Sequence[str] | None = None,
) -> Falsification:
    """Test the independences that a model or a graph implies against data.

    Parameters
    ----------
    model_or_graph : pymc.Model, Fit, networkx.DiGraph or str
        A model or a graph. Only its arrows are tested, not its equations.
    data : DataFrame or Mapping
        One row per unit; units are independent.
    level : float
        The share of false refutations that is accepted.
    correction : str
        ``"benjamini-hochberg"``, ``"benjamini-yekutieli"`` (under any dependence between the
        tests; less power) or ``"none"``.
    method : str
        ``"auto"``, or one test for all claims: ``"partial correlation"``, ``"GCM"``, ``"G"``,
        ``"CMH"``.
    discrete : mapping from str to bool, optional
        Variables to take as discrete or not. Default: text, categories, booleans, and numbers
        with two values, or whole ones with at most ten.
    observed : iterable of str, optional
        The measured variables. Default: of a graph, all that are not marked latent; of a model,
        those that the data have a column for.
    one_per_pair : bool
        Test one claim for each pair without an edge, with the smallest separating set; else all
        minimal ones.
    permutations : int
        How many permuted graphs to compare with; 0 for none.
    suggest : bool
        Look for edges that would repair refuted claims.
    seed : int, optional
        Seed of the permutations.
    unit_dims : str or sequence of str, optional
        The dims that index units, where a model leaves them open.

    Returns
    -------
    Falsification
        The tests, the comparison and the suggestions; `sentence` says it in words.

    Raises
    ------
    UnknownVariableError
        If a measured variable has no column.
    MixingError, UnitDimsError
        If the model says that its units are not independent.
    EstimandError
        If an option is unknown or out of range.
    DataError
        If the data cannot be tested.

    Examples
    --------
    >>> import numpy as np
    >>> import bayescausal as bc
    >>> rng = np.random.default_rng(1)
    >>> z = rng.normal(size=1000)
    >>> x = z + rng.normal(size=1000)
    >>> y = x + 0.3 * z + rng.normal(size=1000)
    >>> print(bc.falsify("z -> x -> y", {"x": x, "y": y, "z": z}, seed=1).sentence())
    Refuted: 1 of 1 implied independences fails (y ⊥ z | x). It does no better than 100% of 6 \
permuted graphs. Adding z -> y would leave nothing refuted, and nothing to test; so would y <-> z.
    """
    _check_options(level, correction, method, permutations)
    dag, seen = graph_and_observed(model_or_graph, observed, named=(observed,), unit_dims=unit_dims)
    _check_units(model_or_graph, unit_dims)
    lenient = observed is None and is_model(model_or_graph)
    columns, names = read_variables(
        data, dag, seen, discrete, lenient=lenient, categories=categories_of(model_or_graph)
    )
    tester = Tester(columns, method)
    claims = implied_independences(dag, observed=names, one_per_pair=one_per_pair)
    tests = _table(claims, tester, level, correction)
    counted = claims[:0] if permutations == 0 else claims
    share, same, tried, violations = against_permuted(
        dag, counted, names, tester, level, permutations, seed
    )
    suggestions = pd.DataFrame(columns=["edge", "refuted", "claims", "still_refuted"])
    if suggest and bool(tests["refuted"].any()):
        suggestions = _suggestions(dag, tests, names, tester, level, correction, one_per_pair)
    return Falsification(
        tests=tests,
        level=level,
        correction=correction,
        as_bad=share,
        same_claims=same,
        permuted=tried,
        permuted_violations=violations,
        suggestions=suggestions,
        graph=dag,
        unmeasured=tuple(n for n in dag if lenient and n not in names and n not in nameless(dag)),
        rows=tester.rows,
        seed=seed,
    )


# --------------------------------------------------------------------------- private


def _check_options(level: float, correction: str, method: str, permutations: int) -> None:
    if not 0 < level < 1:
        raise EstimandError(f"level={level!r}.", expected="a number between 0 and 1.")
    for value, known, what in ((correction, CORRECTIONS, "correction"), (method, METHODS, "test")):
        if value not in known:
            raise EstimandError(
                f"{value!r} is not a {what}.",
                expected=f"one of {', '.join(known)}.",
                names=closest(str(value), known)[:1],
            )
    whole = isinstance(permutations, (int, np.integer)) and not isinstance(permutations, bool)
    if not whole or permutations < 0:
        raise EstimandError(
            f"permutations={permutations!r}.", expected="a whole number from 0 upwards."
        )


def _check_units(model_or_graph: object, unit_dims: str | Sequence[str] | None) -> None:
    """Refuse a model that says its rows are not independent."""
    if not is_model(model_or_graph):
        return
    structure, _ = structure_and_columns(model_or_graph, unit_dims)
    assert structure is not None
    mixed = structure.mixes()
    remedy = "Test the graph alone, bc.graph_of(model), if its rows are independent all the same."
    if mixed:
        raise MixingError(
            f"The units of the model depend on each other: {next(iter(mixed.values()))}.",
            expected="units that are independent of each other.",
            remedy=remedy,
        )
    if len(structure.unit_dims) > 1:
        raise UnitDimsError(
            f"The model has several unit dims, {', '.join(structure.unit_dims)}: rows that share "
            "a label are not independent.",
            expected="one unit dim.",
            remedy=remedy,
        )


def _table(
    claims: Sequence[Independence], tester: Tester, level: float, correction: str
) -> pd.DataFrame:
    """Return one row per claim, in the order of the claims."""
    rows = []
    for claim in claims:
        found = tester.test(claim.left, claim.right, claim.given)
        rows.append(
            {
                "claim": str(claim),
                "left": claim.left,
                "right": claim.right,
                "given": claim.given,
                "test": found.method,
                "rows": found.rows,
                "effect": found.effect,
                "effect_lb": found.lower,
                "effect_ub": found.upper,
                "statistic": found.statistic,
                "df": found.df,
                "p_value": found.p_value,
                "note": found.note,
            }
        )
    names = ["claim", "left", "right", "given", "test", "rows", "effect", "effect_lb"]
    names += ["effect_ub", "statistic", "df", "p_value", "note"]
    table = pd.DataFrame(rows, columns=names)
    table.insert(12, "q_value", adjusted(table["p_value"].to_numpy(dtype=float), correction))
    table.insert(13, "refuted", table["q_value"].to_numpy(dtype=float) <= level)
    return table


def _suggestions(
    dag: nx.DiGraph[str],
    tests: pd.DataFrame,
    names: Sequence[str],
    tester: Tester,
    level: float,
    correction: str,
    one_per_pair: bool,
) -> pd.DataFrame:
    """Try one more edge for each refuted claim, and test what the graph then claims."""
    refuted = tests[tests["refuted"]].sort_values("p_value", kind="stable")
    pairs = dict.fromkeys(zip(refuted["left"], refuted["right"], strict=True))
    rows = []
    for left, right in list(pairs)[:MOST_REPAIRED]:
        for tail, arrow, head in ((left, "->", right), (right, "->", left), (left, "<->", right)):
            graph = _with_edge(dag, tail, arrow, head)
            if graph is None:
                continue
            claims = implied_independences(graph, observed=names, one_per_pair=one_per_pair)
            p = np.array([tester.p_value(c) for c in claims])
            bad = adjusted(p, correction) <= level
            left_over = tuple(str(c) for c, is_bad in zip(claims, bad, strict=True) if is_bad)
            rows.append(
                {
                    "edge": f"{tail} {arrow} {head}",
                    "refuted": int(bad.sum()),
                    "claims": len(claims),
                    "still_refuted": left_over,
                }
            )
    table = pd.DataFrame(rows, columns=["edge", "refuted", "claims", "still_refuted"])
    # Fewest refuted first; among equals the graph that still claims most.
    table = table.sort_values(["refuted", "claims"], ascending=[True, False], kind="stable")
    return table.reset_index(drop=True)


def _with_edge(dag: nx.DiGraph[str], tail: str, arrow: str, head: str) -> nx.DiGraph[str] | None:
    """Return the graph with one more edge; None where that makes a cycle."""
    nodes = {n: dict(a) for n, a in dag.nodes(data=True)}
    between = f"{min(tail, head)}<->{max(tail, head)}"
    if arrow == "<->" and (between in nodes or {tail, head} & latents(dag)):
        return None
    try:
        if arrow == "<->":
            return build_graph(nodes, dag.edges, [(tail, head)])
        return build_graph(nodes, [*dag.edges, (tail, head)])
    except GraphError:
        return None
