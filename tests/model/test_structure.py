"""What is read off a model: units, nodes, edges, what mixes units, what fixes their number.

One small model for each rule; the expected graph is written out by hand.
"""

from __future__ import annotations

import networkx as nx
import numpy as np
import pymc as pm
import pytensor.tensor as pt
import pytest
from models import autoregressive_latent, gaussian_process, zero_sum
from models import four_units as unit_model

import bayescausal as bc
from bayescausal.model.structure.read import structure_of
from bayescausal.types import ModelError, UnitDimsError, UnknownVariableError

UNIT = {"unit": [0]}


# --------------------------------------------------------- the models of the rule, one by one


def coating():
    with unit_model() as model:
        h = pm.Normal("h", 0, 1, dims="unit")
        b = pm.Normal("b")
        d = pm.Bernoulli("d", logit_p=b * h, dims="unit")
        s = pm.HalfNormal("s")
        pm.Deterministic("reported", pm.math.exp(b))
        pm.Normal("c", d + h, s, dims="unit")
    return model


def latent():
    with unit_model() as model:
        u = pm.Normal("u", 0, 1, dims="unit")
        t = pm.Bernoulli("t", logit_p=u, dims="unit")
        pm.Normal("y", t + u, 1, dims="unit")
    return model


def mixture():
    with unit_model(comp=range(2)) as model:
        x = pm.Normal("x", 0, 1, dims="unit")
        mu = pm.Normal("mu", 0, 1, dims="comp")
        components = pm.Normal.dist(mu + x[:, None], 1)
        pm.Mixture("y", w=[0.3, 0.7], comp_dists=components, dims="unit")
    return model


def ordered():
    with unit_model(cut=range(2)) as model:
        x = pm.Normal("x", 0, 1, dims="unit")
        cuts = pm.Normal("cuts", [-1, 1], 1, dims="cut",
                         transform=pm.distributions.transforms.ordered)  # fmt: skip
        pm.OrderedLogistic("y", eta=x, cutpoints=cuts, dims="unit")
    return model


def mvnormal_outcome():
    with unit_model(k=range(2)) as model:
        x = pm.Normal("x", 0, 1, dims="unit")
        beta = pm.Normal("beta", 0, 1, dims="k")
        pm.MvNormal("y", x[:, None] * beta, np.eye(2), dims=("unit", "k"))
    return model


def mvnormal_mediator():
    with unit_model(k=range(2)) as model:
        x = pm.Normal("x", 0, 1, dims="unit")
        m = pm.MvNormal("m", pt.stack([x, -x], axis=-1), np.eye(2), dims=("unit", "k"))
        pm.Normal("y", m.sum(axis=-1), 1, dims="unit")
    return model


def data_covariates():
    with unit_model() as model:
        z = pm.Data("z", np.arange(4.0), dims="unit")
        t = pm.Bernoulli("t", logit_p=z, dims="unit")
        pm.Normal("y", t + z, 1, dims="unit")
    return model


def autoregression():
    with pm.Model(coords={"time": range(5)}) as model:
        rho = pm.Normal("rho")
        pm.AR("x", rho=[rho], sigma=1.0, init_dist=pm.Normal.dist(0, 1), steps=4, dims="time")
    return model


def eight_schools():
    with pm.Model(coords={"school": range(8)}) as model:
        mu, tau = pm.Normal("mu"), pm.HalfNormal("tau")
        theta = pm.Normal("theta", mu, tau, dims="school")
        pm.Normal("y", theta, 1, dims="school")
    return model


def varying_intercept():
    with unit_model(group=range(2)) as model:
        idx = pm.Data("idx", [0, 0, 1, 1], dims="unit")
        a = pm.Normal("a", 0, 1, dims="group")
        pm.Deterministic("centred", a - a.mean(), dims="group")
        x = pm.Normal("x", 0, 1, dims="unit")
        pm.Normal("y", a[idx] + x, 1, dims="unit")
    return model


def panel():
    with pm.Model(coords={"unit": range(3), "time": range(2)}) as model:
        alpha = pm.Normal("alpha", 0, 1, dims="unit")
        gamma = pm.Normal("gamma", 0, 1, dims="time")
        t = pm.Bernoulli("t", logit_p=alpha[:, None] + gamma, dims=("unit", "time"))
        pm.Normal("y", alpha[:, None] + gamma + t, 1, dims=("unit", "time"))
    return model


def between_units():
    """x[pupil] -> school mean -> a[school] -> y[pupil]: a carries no unit dim, and is a node."""
    with pm.Model(coords={"pupil": range(4), "school": range(2)}) as model:
        x = pm.Normal("x", 0, 1, dims="pupil")
        mean = pm.Deterministic("mean", x.reshape((2, 2)).mean(axis=1), dims="school")
        a = pm.Normal("a", mean, 1, dims="school")
        pm.Normal("y", a[np.array([0, 0, 1, 1])], 1, dims="pupil")
    return model


def deterministic_between():
    with unit_model() as model:
        x = pm.Normal("x", 0, 1, dims="unit")
        risk = pm.Deterministic("risk", pm.math.sigmoid(x), dims="unit")
        pm.Normal("y", risk, 1, dims="unit")
    return model


def unused():
    with unit_model() as model:
        x = pm.Normal("x", 0, 1, dims="unit")
        pm.Normal("spare")
        pm.Normal("y", 0 * x, 1, dims="unit")
    return model


def imputed():
    with unit_model() as model:
        with pytest.warns(UserWarning, match="missing"):
            x = pm.Normal("x", 0, 1, observed=[0.1, np.nan, 0.3, 0.4], dims="unit")
        pm.Normal("y", x, 1, observed=[0.1, 0.2, 0.3, 0.4], dims="unit")
    return model


def observed():
    model = latent()
    return pm.observe(model, {"y": np.zeros(4), "t": np.zeros(4, dtype=int)})


def done():
    return pm.do(coating(), {"d": np.ones(4, dtype=int)})


def done_to_expression():
    model = coating()
    return pm.do(model, {"d": (model["h"] > 0).astype("int64")})


def with_potential():
    with unit_model() as model:
        x = pm.Normal("x", 0, 1, dims="unit")
        y = pm.Normal("y", x, 1, dims="unit")
        pm.Potential("selection", pm.math.log(pm.math.sigmoid(y)).sum())
    return model


CASES = [
    (coating, ["unit"], {"h->d", "h->c", "d->c"}, ["b", "s"]),
    (latent, ["unit"], {"u->t", "u->y", "t->y"}, []),
    (mixture, ["unit"], {"x->y"}, ["mu"]),
    (ordered, ["unit"], {"x->y"}, ["cuts"]),
    (mvnormal_outcome, ["unit"], {"x->y"}, ["beta"]),
    (mvnormal_mediator, ["unit"], {"x->m", "m->y"}, []),
    (data_covariates, ["unit"], {"z->t", "z->y", "t->y"}, []),
    (gaussian_process, ["unit"], {"z->f", "f->y"}, []),
    (autoregression, ["time"], set(), ["rho"]),
    (autoregressive_latent, ["time"], {"x->y"}, []),
    (zero_sum, ["unit"], {"a->y"}, []),
    (eight_schools, ["school"], {"theta->y"}, ["mu", "tau"]),
    (varying_intercept, ["unit"], {"idx->y", "x->y"}, ["a"]),
    (panel, ["unit", "time"], {"alpha->t", "gamma->t", "alpha->y", "gamma->y", "t->y"}, []),
    (between_units, ["pupil"], {"x->a", "a->y"}, []),
    (deterministic_between, ["unit"], {"x->y"}, []),
    (unused, ["unit"], {"x->y"}, ["spare"]),
    (imputed, ["unit"], {"x->y"}, []),
    (observed, ["unit"], {"u->t", "u->y", "t->y"}, []),
    (done, ["unit"], {"h->c", "d->c"}, ["b", "s"]),
    (with_potential, ["unit"], {"x->y"}, []),
]


@pytest.mark.parametrize(("make", "units", "edges", "parameters"), CASES)
def test_units_edges_and_parameters(make, units, edges, parameters):
    structure = structure_of(make())
    assert list(structure.unit_dims) == units
    assert {f"{u}->{v}" for u, v in structure.graph.edges} == edges
    assert sorted(structure.parameters) == sorted(parameters)
    assert nx.is_frozen(structure.graph)
    assert nx.is_directed_acyclic_graph(structure.full)
    assert set(structure.graph) == set(structure.nodes)


def test_an_expression_as_intervention_keeps_the_path():
    """The set variable is a Deterministic of h: passed through, or shown."""
    model = done_to_expression()
    assert set(bc.graph_of(model).edges) == {("h", "c")}
    shown = bc.graph_of(model, deterministics=True)
    assert {("h", "d"), ("d", "c")} <= set(shown.edges)


def test_deterministics_are_passed_through_or_shown():
    model = deterministic_between()
    structure = structure_of(model)
    assert structure.deterministics == ("risk",)
    shown = bc.graph_of(model, deterministics=True)
    assert set(shown.edges) == {("x", "risk"), ("risk", "y")}
    assert shown.nodes["risk"]["kind"] == "deterministic"


def test_attributes_of_nodes():
    graph = bc.graph_of(observed())
    assert graph.nodes["t"]["family"] == "Bernoulli"
    assert graph.nodes["t"]["observed"]
    assert not graph.nodes["u"]["observed"]
    assert graph.nodes["y"]["dims"] == ("unit",)
    assert bc.graph_of(data_covariates()).nodes["z"]["kind"] == "data"


def test_imputed_pairs_are_folded_into_one_node():
    structure = structure_of(imputed())
    assert structure.imputed == {"x": ("x_observed", "x_unobserved")}
    assert set(structure.nodes) == {"x", "y"}
    assert structure.observed == ("x", "y")
    assert structure.graph.nodes["x"]["family"] == "Normal"


def test_order_does_not_depend_on_the_order_of_declaration():
    def build(names):
        with pm.Model(coords=UNIT) as model:
            made = {n: pm.Normal(n, 0, 1, dims="unit") for n in names}
            pm.Normal("y", made["a"] + made["b"], 1, dims="unit")
        return model

    one, two = structure_of(build("ab")), structure_of(build("ba"))
    assert one.nodes == two.nodes == ("a", "b", "y")
    assert list(one.graph.edges) == list(two.graph.edges)


def test_a_zero_coefficient_is_an_edge_and_a_shape_is_none():
    assert set(bc.graph_of(unused()).edges) == {("x", "y")}
    with unit_model() as model:
        x = pm.Normal("x", 0, 1, dims="unit")
        pm.Normal("y", pt.zeros(x.shape), 1, dims="unit")
    assert not list(bc.graph_of(model).edges)


# --------------------------------------------------------- two levels


def two_levels():
    with pm.Model(coords={"school": range(2), "pupil": range(4)}) as model:
        idx = pm.Data("idx", [0, 0, 1, 1], dims="pupil")
        w = pm.Bernoulli("w", 0.5, dims="school")
        a = pm.Normal("a", w, 1, dims="school")
        pm.Normal("y", a[idx], 1, dims="pupil")
    return model


def two_outcomes():
    with pm.Model(coords={"school": range(2), "pupil": range(4)}) as model:
        a = pm.Normal("a", 0, 1, dims="school")
        pm.Normal("rating", a, 1, dims="school")
        pm.Normal("y", a[np.array([0, 0, 1, 1])], 1, dims="pupil")
    return model


def test_a_treatment_of_schools_needs_both_levels_named():
    plain = structure_of(two_levels())
    assert plain.unit_dims == ("pupil",)
    assert "w" in plain.parameters
    both = structure_of(two_levels(), unit_dims=("school", "pupil"))
    assert set(both.graph.edges) == {("w", "a"), ("a", "y"), ("idx", "y")}


def test_outcomes_at_two_levels_are_refused_showing_them():
    with pytest.raises(UnitDimsError) as error:
        structure_of(two_outcomes())
    text = str(error.value)
    assert "'rating' has ('school',)" in text
    assert "'y' has ('pupil',)" in text
    assert "unit_dims=" in text
    both = structure_of(two_outcomes(), unit_dims=("school", "pupil"))
    assert set(both.graph.edges) == {("a", "rating"), ("a", "y")}
    assert structure_of(two_outcomes(), named=["y"]).unit_dims == ("pupil",)
    assert structure_of(two_outcomes(), unit_dims="pupil").nodes == ("y",)


def test_an_unused_vector_parameter_is_refused_and_data_settle_it():
    with unit_model(k=range(2)) as model:
        pm.Normal("spare", dims="k")
        x = pm.Normal("x", 0, 1, dims="unit")
        pm.Normal("y", x, 1, dims="unit")
    with pytest.raises(UnitDimsError, match="'spare'"):
        structure_of(model)
    assert structure_of(model, named=["x", "y"]).unit_dims == ("unit",)
    assert structure_of(pm.observe(model, {"y": np.zeros(4)})).unit_dims == ("unit",)


# --------------------------------------------------------- refusals


def test_a_model_without_dims_is_told_how_to_add_them():
    with pm.Model() as model:
        x = pm.Normal("x", 0, 1, shape=4)
        pm.Normal("y", x, 1, shape=4)
    with pytest.raises(UnitDimsError, match=r'dims="unit"'):
        bc.graph_of(model)
    with pm.Model() as scalar:
        pm.Normal("m")
    with pytest.raises(UnitDimsError, match="No variable has dims"):
        bc.graph_of(scalar)


@pytest.mark.parametrize("kind", ["data", "random"])
def test_an_array_without_dims_that_feeds_the_units_is_refused(kind):
    with unit_model() as model:
        z = pm.Data("z", np.arange(4.0)) if kind == "data" else pm.Normal("z", 0, 1, shape=4)
        pm.Normal("y", z, 1, dims="unit")
    with pytest.raises(UnitDimsError, match="'z' has no dims") as error:
        bc.graph_of(model)
    assert 'dims="unit"' in str(error.value)


@pytest.mark.parametrize(
    ("unit_dims", "says"),
    [("untt", "Did you mean 'unit'"), ((), "empty")],
)
def test_unit_dims_that_are_not_there(unit_dims, says):
    with pytest.raises(UnitDimsError, match=says):
        bc.graph_of(coating(), unit_dims=unit_dims)


@pytest.mark.parametrize("name", ["world", "chain", "draw"])
def test_reserved_names_are_refused(name):
    with unit_model() as model:
        pm.Normal(name, 0, 1, dims="unit")
    with pytest.raises(ModelError, match=name):
        bc.graph_of(model)


def test_what_is_not_a_model_is_refused():
    with pytest.raises(ModelError, match="dict"):
        bc.graph_of({})


def test_variables_of_pymc_dims_are_refused():
    import pymc.dims as pmd

    with unit_model() as model:
        pmd.Normal("x", 0, 1, dims="unit")
    with pytest.raises(ModelError, match=r"pymc\.dims"):
        bc.graph_of(model)


def test_names_that_are_not_there():
    structure = structure_of(coating())
    with pytest.raises(UnknownVariableError, match="Did you mean"):
        structure.require("dd")
    with pytest.raises(UnknownVariableError, match="is a parameter"):
        structure.require("b")
    with pytest.raises(UnknownVariableError):
        structure.variable("nowhere")


def test_potentials_are_listed_where_they_read_the_units():
    assert structure_of(with_potential()).potentials == ("selection",)
    with unit_model() as model:
        b = pm.Normal("b")
        pm.Potential("soft", -(b**2))
        pm.Normal("y", b, 1, dims="unit")
    assert structure_of(model).potentials == ()


def test_what_is_changed_is_found_among_all_named_variables():
    structure = structure_of(between_units())
    assert structure.descendants(["x"]) == {"mean", "a", "y"}
    assert structure.ancestors(["y"]) == {"x", "mean", "a"}
