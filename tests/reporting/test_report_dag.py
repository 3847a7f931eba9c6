"""The picture of a graph: nothing overlaps, nothing is cut off, marks mean what they say."""

from __future__ import annotations

import random
from itertools import combinations

import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt
import networkx as nx
import numpy as np
import pytest
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

from bayescausal.reporting.drawn.dag import plot_graph
from bayescausal.reporting.drawn.shapes import broken, smooth
from bayescausal.types import GraphError, UnknownVariableError

LONG = [
    "household_income_1974",
    "educationYears",
    "marital.status",
    "training_programme_participation",
    "region of residence",
    "x",
]


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    plt.close("all")


def random_dag(size: int, share: float, seed: int) -> nx.DiGraph:
    """Return a DAG with names of mixed lengths, latents and data."""
    rng = random.Random(seed)
    names = [LONG[i % len(LONG)] + (f"_{i}" if i >= len(LONG) else "") for i in range(size)]
    graph = nx.DiGraph()
    for name in names:
        graph.add_node(
            name, latent=rng.random() < 0.15, kind="data" if rng.random() < 0.1 else "random"
        )
    graph.add_edges_from((a, b) for a, b in combinations(names, 2) if rng.random() < share)
    return graph


def boxes_of(ax):
    """Return the node boxes in pixels: the patches whose centre carries a text."""
    ax.figure.canvas.draw()
    patches = [p.get_window_extent() for p in ax.patches if isinstance(p, FancyBboxPatch)]
    found = {}
    for text in ax.texts:
        if text.get_ha() == "center":
            bounds = text.get_window_extent()
            x, y = (bounds.x0 + bounds.x1) / 2, (bounds.y0 + bounds.y1) / 2
            [box] = [b for b in patches if b.x0 < x < b.x1 and b.y0 < y < b.y1]
            found[text.get_text()] = (box, bounds)
    return found


@pytest.mark.parametrize("direction", ["down", "right"])
@pytest.mark.parametrize("size", [1, 3, 6, 12, 25])
def test_names_fit_and_boxes_do_not_overlap(size, direction):
    ax = plot_graph(random_dag(size, 1.6 / size, seed=size), direction=direction)
    boxes = boxes_of(ax)
    assert len(boxes) == size
    page = ax.figure.bbox
    for box, text in boxes.values():
        # The letters are measured without hinting, so allow a pixel.
        assert box.x0 - 1 <= text.x0
        assert text.x1 <= box.x1 + 1
        assert page.x0 <= box.x0
        assert box.x1 <= page.x1
        assert page.y0 <= box.y0
        assert box.y1 <= page.y1
    for (one, _), (other, _) in combinations(boxes.values(), 2):
        assert one.x1 < other.x0 or other.x1 < one.x0 or one.y1 < other.y0 or other.y1 < one.y0


@pytest.mark.parametrize("size", [3, 6, 12, 25])
@pytest.mark.parametrize(
    ("seed", "direction"), [*((k, "down") for k in range(4)), (1, "right"), (2, "right")]
)
def test_arrows_avoid_other_nodes(size, seed, direction):
    graph = random_dag(size, 1.6 / size, seed)
    ax = plot_graph(graph, direction=direction)
    boxes = [box for box, _ in boxes_of(ax).values()]
    to_pixels = ax.transData
    for arrow in (p for p in ax.patches if isinstance(p, FancyArrowPatch)):
        if arrow.get_arrowstyle().__class__.__name__ == "Curve":
            continue  # the line of a dashed arrow; its head is tested with the others
        if arrow.get_zorder() == 0:
            continue  # a light arc between columns, which passes under the boxes
        path = to_pixels.transform(arrow._path_original.vertices)
        inside = [((path > (b.x0, b.y0)) & (path < (b.x1, b.y1))).all(axis=1).any() for b in boxes]
        assert not any(inside)


def test_causal_path_is_marked_and_only_that():
    graph = nx.DiGraph([("Z", "X"), ("X", "M"), ("M", "Y"), ("Z", "Y"), ("X", "D")])
    ax = plot_graph(graph, treatment="X", outcome="Y")
    arrows = [p for p in ax.patches if isinstance(p, FancyArrowPatch)]
    widths = sorted(arrow.get_linewidth() for arrow in arrows)
    assert len(arrows) == 5
    assert widths == pytest.approx([1.1, 1.1, 1.1, 2.0, 2.0])
    assert {"treatment", "outcome"} <= {text.get_text() for text in ax.texts}


def test_kinds_can_be_told_without_colour():
    graph = nx.DiGraph([("U", "X"), ("W", "X"), ("X", "D")])
    graph.nodes["U"]["latent"] = True
    graph.nodes["W"]["kind"] = "data"
    graph.nodes["D"]["kind"] = "deterministic"
    ax = plot_graph(graph)
    words = {text.get_text(): text for text in ax.texts}
    assert words["U"].get_style() == "italic"
    assert {"latent", "data", "computed"} <= set(words)
    nodes = [p for p in ax.patches if isinstance(p, FancyBboxPatch)][:4]
    assert sum(p.get_linestyle() != "solid" for p in nodes) == 1
    assert sum(p.get_boxstyle().__class__.__name__ == "Square" for p in nodes) == 2


def test_a_plain_graph_has_no_legend():
    ax = plot_graph(nx.DiGraph([("A", "B")]))
    assert sorted(text.get_text() for text in ax.texts) == ["A", "B"]


def test_bidirected_edge_is_a_dashed_dot_without_a_name():
    ax = plot_graph("X -> Y; X <-> Y", treatment="X", outcome="Y")
    assert not any("<->" in text.get_text() for text in ax.texts)
    assert "latent" in {text.get_text() for text in ax.texts}


def test_given_axes_are_used_and_the_drawing_fits_them():
    _, axes = plt.subplots(1, 2, figsize=(6, 2.5))
    before = plt.get_fignums()
    graph = random_dag(6, 0.3, seed=1)
    assert plot_graph(graph, ax=axes[1]) is axes[1]
    assert plt.get_fignums() == before
    frame = axes[1].get_window_extent()
    for box, text in boxes_of(axes[1]).values():
        assert box.x0 - 1 <= text.x0
        assert text.x1 <= box.x1 + 1
        assert frame.x0 - 1 <= box.x0
        assert box.x1 <= frame.x1 + 1
    assert not axes[0].patches


def test_model_and_its_graph_give_one_picture():
    from bayescausal.datasets import coating
    from bayescausal.model.structure.read import graph_of

    model = coating().model
    texts = [
        sorted((t.get_text(), t.get_position()) for t in plot_graph(given).texts)
        for given in (model, graph_of(model))
    ]
    assert texts[0] == texts[1]


def test_treatment_may_be_several():
    graph = nx.DiGraph([("A", "Y"), ("B", "Y"), ("C", "Y")])
    ax = plot_graph(graph, treatment=["A", "B"], outcome="Y")
    heavy = [p for p in ax.patches if isinstance(p, FancyArrowPatch) and p.get_linewidth() == 2.0]
    assert len(heavy) == 2


def test_names_with_mathematics_signs_are_shown_as_they_are():
    ax = plot_graph(nx.DiGraph([("cost $", "x_{1}$y$")]))
    assert {"cost $", "x_{1}$y$"} == {text.get_text() for text in ax.texts}
    ax.figure.canvas.draw()


def test_effects_stand_below_their_causes_or_to_the_right_of_them():
    graph = random_dag(8, 0.3, seed=2)
    for direction, axis, sign in (("down", 1, -1), ("right", 0, 1)):
        ax = plot_graph(
            graph, direction=direction, labels={name: name[:4] + name[-2:] for name in graph}
        )
        boxes = {text: box for text, (box, _) in boxes_of(ax).items()}
        centre = {
            n: sign * np.mean(boxes[n[:4] + n[-2:]].get_points(), axis=0)[axis] for n in graph
        }
        assert all(centre[cause] < centre[effect] for cause, effect in graph.edges)


def test_positions_of_dagitty_and_of_dot_are_kept():
    places = {"X": (0.0, 0.0), "Y": (2.0, 0.0), "Z": (1.0, 1.5)}
    dagitty = 'dag { X [pos="0,0"] Y [pos="2,0"] Z [pos="1,-1.5"] Z -> X -> Y Z -> Y X <-> Y }'
    dot = 'digraph { X [pos="0,0"] Y [pos="2,0"] Z [pos="1,1.5"] Z -> X -> Y; Z -> Y }'
    given = {"positions": places}
    for graph, options in ((dagitty, {}), (dot, {}), ("Z -> X -> Y; Z -> Y", given)):
        ax = plot_graph(graph, **options)
        found = {t.get_text(): np.array(t.get_position()) for t in ax.texts}
        unit = (found["Y"] - found["X"])[0] / 2
        for name, place in places.items():
            np.testing.assert_allclose((found[name] - found["X"]) / unit, place, atol=1e-9)
        boxes_of(ax)
    free = {t.get_text(): t.get_position() for t in plot_graph(dagitty, positions=None).texts}
    assert free["X"][1] > free["Y"][1]


def test_positions_that_are_none_are_refused():
    graph = "Z -> X -> Y"
    with pytest.raises(GraphError, match="No position for Y"):
        plot_graph(graph, positions={"X": (0, 0), "Z": (1, 1)})
    with pytest.raises(GraphError, match="Z and X have the same position"):
        plot_graph(graph, positions={"X": (0, 0), "Z": (0, 0), "Y": (1, 1)})
    with pytest.raises(UnknownVariableError, match="'Q' is not"):
        plot_graph(graph, positions={"Q": (0, 0)})
    with pytest.raises(UnknownVariableError, match="'Q' is not"):
        plot_graph(graph, labels={"Q": "q"})
    with pytest.raises(GraphError, match="direction='up'"):
        plot_graph(graph, direction="up")


def test_unknown_treatment_names_the_closest():
    with pytest.raises(UnknownVariableError, match=r"'dilutoin' is not .*'dilution'"):
        plot_graph(nx.DiGraph([("humid", "dilution")]), treatment="dilutoin")
    with pytest.raises(UnknownVariableError, match="'coating' is not"):
        plot_graph(nx.DiGraph([("humid", "dilution")]), outcome="coating")


def test_empty_and_cyclic_graphs_are_refused():
    with pytest.raises(GraphError, match="no nodes"):
        plot_graph(nx.DiGraph())
    with pytest.raises(GraphError, match="cycle"):
        plot_graph(nx.DiGraph([("A", "B"), ("B", "A")]))


def test_nothing_is_left_when_a_question_is_refused():
    with pytest.raises(UnknownVariableError):
        plot_graph(nx.DiGraph([("A", "B")]), treatment="C")
    assert plt.get_fignums() == []


def test_long_names_break_where_words_end():
    assert broken("dilution") == "dilution"
    assert broken("training_programme_participation").split("\n") == [
        "training_",
        "programme_",
        "participation",
    ]
    assert "".join(broken("a" * 60).split("\n")) == "a" * 60
    assert max(len(line) for line in broken("a" * 60).split("\n")) <= 18


def test_curves_pass_through_their_points():
    points = np.array([[0.0, 3.0], [1.0, 2.0], [0.5, 1.0], [2.0, 0.0]])
    curve = smooth(points)
    for point in points:
        assert np.abs(curve - point).sum(axis=1).min() < 1e-9


@pytest.mark.parametrize(
    ("positions", "said"),
    [
        ("left", "positions='left'. Expected: a mapping of every variable"),
        ([(0, 0)], r"positions=\[\(0, 0\)\]"),
        ({"X": 0, "Y": 1}, "The position of 'X' is 0. Expected: two finite numbers"),
        ({"X": (0, 0, 1), "Y": (1, 1, 1)}, r"The position of 'X' is \(0, 0, 1\)"),
        ({"X": ("a", 0), "Y": (1, 1)}, r"The position of 'X' is \('a', 0\)"),
        ({"X": (0, 0), "Y": (float("nan"), 1)}, "The position of 'Y' is"),
        ({"X": (0, 0)}, "No position for Y. .* Leave positions out, and places are found"),
    ],
)
def test_positions_that_are_none_are_said(positions, said):
    with pytest.raises(GraphError, match=said):
        plot_graph("X -> Y", positions=positions)
