"""A drawn graph as the beginning of a model: PyMC code, and formulas.

The graph says who acts on whom and nothing of how. Here every equation is linear with Normal noise,
which is where one starts and not what the graph claims; the model that the code makes has the drawn
graph. What is not measured stays in the model and out of the data.
"""

from __future__ import annotations

import json
import keyword
from typing import TYPE_CHECKING

import networkx as nx

from bayescausal.graph.structure.marks import bidirected_edges, nameless, roots_of_selection
from bayescausal.graph.text.parse import as_graph
from bayescausal.types import GraphError

if TYPE_CHECKING:
    from bayescausal.annotations import GraphLike

__all__ = ["as_formulas", "as_pymc"]


def as_pymc(graph: GraphLike) -> str:
    """Return PyMC code of a linear model with this graph.

    Examples
    --------
    >>> print(as_pymc("X -> Y"))
    import pymc as pm
    <BLANKLINE>
    with pm.Model(coords={"unit": [0]}) as model:
        b_X_Intercept = pm.Normal("b_X_Intercept", 0, 2.5)
        sigma_X = pm.HalfNormal("sigma_X", 1)
        X = pm.Normal("X", b_X_Intercept, sigma_X, dims="unit")
        b_Y_Intercept = pm.Normal("b_Y_Intercept", 0, 2.5)
        b_Y_X = pm.Normal("b_Y_X", 0, 2.5)
        sigma_Y = pm.HalfNormal("sigma_Y", 1)
        Y = pm.Normal("Y", b_Y_Intercept + b_Y_X * X, sigma_Y, dims="unit")
    """
    dag, names = _with_names(graph)
    code = _identifiers(names.values())
    lines = ["import pymc as pm", "", 'with pm.Model(coords={"unit": [0]}) as model:']
    for node in nx.lexicographical_topological_sort(dag):
        lines += _equation(dag, node, names, code)
    return "\n".join([*lines, *_remarks(dag, names)])


def as_formulas(graph: GraphLike) -> str:
    """Return a call of ``bc.model_from_formulas`` for a model with this graph.

    Raises GraphError if a name cannot stand in a formula.

    Examples
    --------
    >>> print(as_formulas("Z -> X -> Y; Z -> Y"))
    import bayescausal as bc
    <BLANKLINE>
    model = bc.model_from_formulas(
        [
            "Z ~ 1",
            "X ~ Z",
            "Y ~ X + Z",
        ],
    )
    """
    dag, names = _with_names(graph)
    lines = ["import bayescausal as bc", "", "model = bc.model_from_formulas(", "    ["]
    for node in nx.lexicographical_topological_sort(dag):
        right = " + ".join(_in_formula(names[p]) for p in sorted(dag.predecessors(node))) or "1"
        lines.append(f"        {json.dumps(f'{_in_formula(names[node])} ~ {right}')},")
    return "\n".join([*lines, "    ],", ")", *_remarks(dag, names)])


# --------------------------------------------------------------------------- private


def _with_names(graph: GraphLike) -> tuple[nx.DiGraph[str], dict[str, str]]:
    """Return a graph, and the name of each node in a model; of a bidirected edge one that reads."""
    dag = as_graph(graph)
    if not dag:
        raise GraphError("The graph has no nodes.", expected="one variable at least.")
    names = {node: node for node in dag if node not in nameless(dag)}
    for node, ends in bidirected_edges(dag).items():
        name = f"U_{'_'.join(ends)}"
        while name in names.values():
            name += "_"
        names[node] = name
    return dag, names


def _identifiers(names: object) -> dict[str, str]:
    """Return a name of Python for each variable; variables and parameters share one space."""
    taken: set[str] = {"pm", "model"}
    found = {}
    for name in names:  # type: ignore[attr-defined]
        bare = "".join(c if c.isalnum() or c == "_" else "_" for c in name)
        bare = bare if bare.isidentifier() and not keyword.iskeyword(bare) else f"v_{bare}"
        while bare in taken:
            bare += "_"
        taken.add(bare)
        found[name] = bare
    return found


def _equation(
    dag: nx.DiGraph[str], node: str, names: dict[str, str], code: dict[str, str]
) -> list[str]:
    """Return the lines of one variable: its parameters, and itself."""
    name, own = names[node], code[names[node]]
    parents = [names[p] for p in sorted(dag.predecessors(node))]
    latent = bool(dag.nodes[node].get("latent"))
    lines, terms = [], []

    def parameter(label: str, prior: str) -> str:
        variable = label
        while variable in code.values():
            variable += "_"
        lines.append(f"    {variable} = pm.{prior.format(json.dumps(variable))}")
        return variable

    if not latent:
        terms.append(parameter(f"b_{own}_Intercept", "Normal({}, 0, 2.5)"))
    for parent in parents:
        slope = parameter(f"b_{own}_{code[parent]}", "Normal({}, 0, 2.5)")
        terms.append(f"{slope} * {code[parent]}")
    spread = "1" if latent else parameter(f"sigma_{own}", "HalfNormal({}, 1)")
    mean = " + ".join(terms) or "0"
    remark = "  # not measured" if latent else ""
    call = f'pm.Normal({json.dumps(name, ensure_ascii=False)}, {mean}, {spread}, dims="unit")'
    return [*lines, f"    {own} = {call}{remark}"]


def _remarks(dag: nx.DiGraph[str], names: dict[str, str]) -> list[str]:
    """Return comments on what the code does not say."""
    latent = [names[n] for n, hidden in dag.nodes(data="latent") if hidden]
    selected = [names[n] for n in sorted(roots_of_selection(dag))]
    lines = []
    if latent:
        lines.append(f"# not measured, so no column of the data: {', '.join(latent)}")
    if selected:
        lines.append(
            f"# the data hold only units selected on {', '.join(selected)}; the model is of all"
        )
    return ["", *lines] if lines else []


def _in_formula(name: str) -> str:
    """Return a name as formulas write it."""
    if name.isidentifier() and not keyword.iskeyword(name):
        return name
    if "`" in name:
        raise GraphError(f"The name {name!r} cannot stand in a formula.", remedy="Rename it.")
    return f"`{name}`"
