"""What the arrows say: graphs, facts, surgery, identification. Needs networkx alone.

In the order of an argument:

====================  ====================================================================
`parse_graph`         a graph from text, dagitty, DOT, GML, formulas, edges or networkx
`to_text`, ...        and back; `to_dot`, `to_mermaid` and `layered_layout` to draw it
`paths`, `roles`      facts: what is open and why, and what each variable is to a question
`do_graph`, ...       surgery: a graph in, a new graph out
`implied_independences`  what data could refute
`identify`            is the effect a function of what is measured, and which one
`identify_effect`     the same for each estimand's own query
`compare_graphs`      the graph of a model, and the one a person believes in
====================  ====================================================================

A graph is a frozen `networkx.DiGraph`; nodes that are not measured have ``latent=True``, and
``X <-> Y`` is such a node with the children X and Y (see `bayescausal.graph.structure.canonical`).
"""

from bayescausal.graph.identification.adjustment import (
    adjustment_sets,
    forbidden_nodes,
    is_adjustment_set,
    optimal_adjustment_set,
)
from bayescausal.graph.identification.estimands import KINDS, identify_effect
from bayescausal.graph.identification.expression import Expression
from bayescausal.graph.identification.frontdoor import frontdoor_sets
from bayescausal.graph.identification.idc import Hedge
from bayescausal.graph.identification.identify import identify
from bayescausal.graph.identification.instruments import Instrument, instruments
from bayescausal.graph.identification.verdict import Identification
from bayescausal.graph.structure.canonical import build_graph
from bayescausal.graph.structure.compare import Comparison, compare_graphs
from bayescausal.graph.structure.facts import Path, ancestors, children, descendants, parents, paths
from bayescausal.graph.structure.independences import Independence, implied_independences, separated
from bayescausal.graph.structure.layout import Layout, layered_layout
from bayescausal.graph.structure.marks import (
    as_names,
    bidirected_edges,
    bidirected_pairs,
    column_causes,
    latents,
    nameless,
    observables,
    roots_of_selection,
)
from bayescausal.graph.structure.roles import Role, roles
from bayescausal.graph.structure.surgery import (
    back_door_graph,
    do_graph,
    explicit_latents,
    latent_projection,
    rule,
    without_outgoing,
)
from bayescausal.graph.text.export import (
    to_dagitty,
    to_dot,
    to_edges,
    to_formulas,
    to_gml,
    to_mermaid,
    to_text,
)
from bayescausal.graph.text.parse import as_graph, parse_graph

__all__ = [
    "KINDS",
    "Comparison",
    "Expression",
    "Hedge",
    "Identification",
    "Independence",
    "Instrument",
    "Layout",
    "Path",
    "Role",
    "adjustment_sets",
    "ancestors",
    "as_graph",
    "as_names",
    "back_door_graph",
    "bidirected_edges",
    "bidirected_pairs",
    "build_graph",
    "children",
    "column_causes",
    "compare_graphs",
    "descendants",
    "do_graph",
    "explicit_latents",
    "forbidden_nodes",
    "frontdoor_sets",
    "identify",
    "identify_effect",
    "implied_independences",
    "instruments",
    "is_adjustment_set",
    "latent_projection",
    "latents",
    "layered_layout",
    "nameless",
    "observables",
    "optimal_adjustment_set",
    "parents",
    "parse_graph",
    "paths",
    "roles",
    "roots_of_selection",
    "rule",
    "separated",
    "to_dagitty",
    "to_dot",
    "to_edges",
    "to_formulas",
    "to_gml",
    "to_mermaid",
    "to_text",
    "without_outgoing",
]
