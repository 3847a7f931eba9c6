"""The ID and IDC algorithms: when is an effect a function of the observed distribution?

``P(y | do(x))`` is *identified* in a graph if every two models with that graph and the same P(V),
V the measured variables, agree on it. ID decides this for any sets x and y, and either returns
a formula or a *hedge*, which proves that there is none [1]_; IDC adds conditioning,
``P(y | do(x), z)`` [2]_. Both are complete [3]_. With the numbers of the papers' lines:

1. nothing is set: ``P(y)``;
2. what is no ancestor of y is summed out;
3. what would not act on y once x is set may be set as well;
4. once x is removed, the districts (sets joined by bidirected paths) factorise: one query each;
5. a single district remains, and all variables form one district: a hedge, *not identified*;
6. the remaining district is one of the whole graph: a product of conditionals;
7. it lies inside a larger district: go on in that district, with the distribution that its
   product of conditionals defines.

Lines 6 and 7 take conditionals of the distribution *carried* by the recursion, which line 7
has replaced, and not of P(V): in the napkin graph the latter would return ``P(y | x)``.

A hedge for (x, y) is a pair of sets F' in F, each one district, F meeting x and F' not, whose
nodes all reach R, the sinks of F', inside them; R are ancestors of y once x is set. `check_hedge`
tests exactly that.

References
----------
.. [1] I. Shpitser and J. Pearl, "Identification of joint interventional distributions in
   recursive semi-Markovian causal models", AAAI 2006.
.. [2] I. Shpitser and J. Pearl, "Identification of conditional interventional distributions",
   UAI 2006.
.. [3] I. Shpitser and J. Pearl, "Complete identification methods for the causal hierarchy",
   Journal of Machine Learning Research 9, 2008.
"""

from __future__ import annotations

from dataclasses import dataclass

from bayescausal.graph.identification.algebra import marginal, product, quotient
from bayescausal.graph.identification.expression import Expression, P
from bayescausal.graph.structure.mixed_graph import ADMG, bits

__all__ = ["Hedge", "NotIdentified", "check_hedge", "identify_conditional", "identify_joint"]


@dataclass(frozen=True)
class Hedge:
    """The proof that an effect is not identified.

    ``F``, ``F_prime``: the two forests: F meets the treatment, F_prime, inside it, does not.
    ``roots``: what both lead to: ancestors of the outcome.
    ``treatment``, ``outcome``: the query ``P(outcome | do(treatment))`` that it refutes.
    """

    F: frozenset[str]
    F_prime: frozenset[str]
    roots: frozenset[str]
    treatment: frozenset[str]
    outcome: frozenset[str]


class NotIdentified(Exception):
    """Carries the hedge out of the recursion; never leaves this package."""

    def __init__(self, hedge: Hedge) -> None:
        super().__init__(str(hedge))
        self.hedge = hedge


def identify_joint(graph: ADMG, y: int, x: int) -> Expression:
    """Identify ``P(y | do(x))`` by the ID algorithm.

    ``y``, ``x``: sets of nodes (bits) that do not overlap.
    Result: a formula in P(V). Variables free in it beside x and y may take any value.
    Raises NotIdentified with the hedge.
    """
    carried = _Observed(graph)
    try:
        return _identify(graph, y, x, graph.everything, carried)
    except _Line5 as stop:
        hedge = _hedge(graph, stop.forest, stop.inner, x, y)
        raise NotIdentified(hedge) from None


def identify_conditional(graph: ADMG, y: int, x: int, z: int) -> Expression:
    """Identify ``P(y | do(x), z)`` by the IDC algorithm.

    ``y``, ``x``, ``z``: sets of nodes (bits) that do not overlap.
    Result: a formula in P(V).
    Raises NotIdentified with the hedge.
    """
    moved = True
    while moved:  # rule 2: seeing z is setting it, where no open path enters z by an arrowhead
        moved = False
        for i in bits(z):
            node = 1 << i
            if graph.cut(into=x, out_of=node).separated(node, y, x | (z & ~node)):
                x, z, moved = x | node, z & ~node, True
                break
    joint = identify_joint(graph, y | z, x)
    if not z:
        return joint
    return quotient(joint, marginal(joint, graph.listed(y)), graph.listed(y))


def check_hedge(graph: ADMG, hedge: Hedge) -> bool:
    """Tell whether a hedge is one, from the definition alone.

    ``hedge``: what is claimed to be one.
    Result: True if it proves that its query is not identified.
    """
    outer, inner = graph.mask(hedge.F), graph.mask(hedge.F_prime)
    roots = graph.mask(hedge.roots)
    x, y = graph.mask(hedge.treatment), graph.mask(hedge.outcome)
    nested = inner and not inner & ~outer and inner != outer and not roots & ~inner
    if not nested or not outer & x or inner & x:
        return False
    for forest in (outer, inner):
        one_district = len(graph.districts(forest)) == 1
        if not one_district or graph.ancestors(roots, forest) != forest:
            return False
    return not roots & ~graph.cut(into=x).ancestors(y)


# --------------------------------------------------------------------------- private


class _Line5(Exception):
    """The recursion has met a hedge."""

    def __init__(self, forest: int, inner: int) -> None:
        self.forest, self.inner = forest, inner


class _Observed:
    """The carried distribution before line 7: P over an ancestral set of variables."""

    def __init__(self, graph: ADMG) -> None:
        self.graph = graph

    def only(self, kept: int, dropped: int) -> _Observed:
        return self

    def whole(self, y: int) -> Expression:
        return P(self.graph.listed(y))

    def conditional(self, node: int, within: int) -> Expression:
        """Return P(node | all before it), of which only its Markov blanket matters."""
        before = within & ((1 << node + 1) - 1)
        district = self.graph.district(node, before)
        blanket = (district | self.graph.parents_of(district)) & before & ~(1 << node)
        return P((self.graph.names[node],), self.graph.listed(blanket))


class _Kernel:
    """The carried distribution after line 7: a formula over one district."""

    def __init__(self, graph: ADMG, formula: Expression) -> None:
        self.graph, self.formula = graph, formula

    def only(self, kept: int, dropped: int) -> _Kernel:
        return _Kernel(self.graph, _summed(self.graph, self.formula, dropped))

    def whole(self, y: int) -> Expression:
        return self.formula

    def conditional(self, node: int, within: int) -> Expression:
        """Return the kernel up to a node divided by the kernel before it."""
        upto = _summed(self.graph, self.formula, within & ~((1 << node + 1) - 1))
        name = self.graph.names[node]
        return quotient(upto, marginal(upto, (name,)), (name,))


_Carried = _Observed | _Kernel


def _identify(graph: ADMG, y: int, x: int, v: int, carried: _Carried) -> Expression:
    """Run ID on the subgraph v; the comments give the lines of the paper."""
    if not x:  # line 1
        return carried.only(y, v & ~y).whole(y)
    ancestors = graph.ancestors(y, v)
    if v != ancestors:  # line 2
        kept = carried.only(ancestors, v & ~ancestors)
        return _identify(graph, y, x & ancestors, ancestors, kept)
    idle = v & ~x & ~graph.ancestors(y, v & ~x)
    if idle:  # line 3
        return _identify(graph, y, x | idle, v, carried)
    districts = graph.districts(v & ~x)
    if len(districts) > 1:  # line 4
        parts = [_identify(graph, s, v & ~s, v, carried) for s in districts]
        return _summed(graph, product(parts), v & ~(x | y))
    (s,) = districts
    outer = graph.district(s.bit_length() - 1, v)
    if outer == v:  # line 5
        raise _Line5(v, s)
    kernel = product([carried.conditional(i, v) for i in bits(outer)])
    if outer == s:  # line 6
        return _summed(graph, kernel, s & ~y)
    return _identify(graph, y, x & outer, outer, _Kernel(graph, kernel))  # line 7


def _summed(graph: ADMG, formula: Expression, over: int) -> Expression:
    """Sum out variables, the last ones first: they are the ones that sum to one."""
    return marginal(formula, graph.listed(over)[::-1]) if over else formula


def _hedge(graph: ADMG, forest: int, inner: int, x: int, y: int) -> Hedge:
    sinks = sum(1 << i for i in bits(inner) if not graph.children[i] & inner)
    return Hedge(
        F=graph.named(forest),
        F_prime=graph.named(inner),
        roots=graph.named(sinks),
        treatment=graph.named(x),
        outcome=graph.named(y),
    )
