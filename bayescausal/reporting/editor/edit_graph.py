"""``edit_graph``: draw a graph in a notebook, and ask it while it is drawn.

The editor is the one of the playground. Here it asks the Python of the notebook
(:func:`bayescausal.graph.playground.explore.explore`), and what is drawn is a graph that
:func:`bayescausal.identify` and every other question about graphs take. It is an anywidget, so it
runs in Jupyter, marimo, VS Code and Colab.
"""

from __future__ import annotations

from functools import cache
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Protocol

from bayescausal.graph.playground.drawings import Drawn, drawing_of, read_drawing
from bayescausal.graph.playground.explore import explore
from bayescausal.graph.structure.marks import as_names, latents
from bayescausal.graph.text.export import to_text
from bayescausal.graph.text.parse import as_graph
from bayescausal.model.graph_queries.queries import with_latents
from bayescausal.reporting.editor.sources import editor_css, editor_js
from bayescausal.types import GraphError

if TYPE_CHECKING:
    from collections.abc import Callable

    import networkx as nx

    from bayescausal.annotations import Names
    from bayescausal.model.graph_queries.graph_of_anything import ModelOrGraph

__all__ = ["GraphEditor", "edit_graph"]


class Widget(Protocol):
    """What is used of an anywidget: two values that the page shares, and messages."""

    drawing: dict[str, Any]
    exercises: bool

    def on_msg(self, heard: Callable[..., None]) -> None: ...
    def send(self, content: dict[str, Any]) -> None: ...
    def _repr_mimebundle_(self, **options: Any) -> object: ...


class GraphEditor:
    """A graph that is being drawn; taken wherever a graph is.

    - `drawing`: what the editor shows first.
    - `exercises`: whether it offers exercises.

    - `widget` (anywidget.AnyWidget): what a notebook shows.
    - `drawing`: what is drawn now: plain data, as in the answers of the playground.
    - `graph`: the graph as drawn now, its question written on the nodes.
    - `treatment`, `outcome`, `given`: the variables with these marks.

    Examples
    --------
    >>> import bayescausal as bc
    >>> editor = bc.edit_graph("Z -> X -> Y; Z -> Y", treatment="X", outcome="Y")
    >>> editor.treatment, bc.identify(editor.graph).adjustment_sets
    (('X',), [{Z}])
    """

    def __init__(self, drawing: dict[str, Any], exercises: bool = False) -> None:
        self.widget = _widget_class()(drawing=drawing, exercises=exercises)
        self.widget.on_msg(_answered)

    @property
    def drawing(self) -> dict[str, Any]:
        """What is drawn now."""
        return dict(self.widget.drawing)

    @drawing.setter
    def drawing(self, drawing: dict[str, Any]) -> None:
        read_drawing(drawing)
        self.widget.drawing = drawing

    @property
    def graph(self) -> nx.DiGraph[str]:
        """The graph as drawn now; a drawing that is no graph is refused in words."""
        return self._drawn.marked

    @property
    def treatment(self) -> tuple[str, ...]:
        """The variables that are marked as treatment."""
        return self._drawn.treatment

    @property
    def outcome(self) -> tuple[str, ...]:
        """The variables that are marked as outcome."""
        return self._drawn.outcome

    @property
    def given(self) -> tuple[str, ...]:
        """The variables that are marked as given."""
        return self._drawn.given

    @property
    def _drawn(self) -> Drawn:
        return read_drawing(self.widget.drawing)

    def __repr__(self) -> str:
        return f"GraphEditor({to_text(self._drawn.marked)!r})"

    def _repr_mimebundle_(self, **options: Any) -> object:
        return self.widget._repr_mimebundle_(**options)

    def _display_(self) -> Widget:
        return self.widget  # what marimo shows


def edit_graph(
    model_or_graph: ModelOrGraph | None = None,
    *,
    treatment: Names | None = None,
    outcome: Names | None = None,
    given: Names | None = None,
    exercises: bool = False,
) -> GraphEditor:
    """Open an editor of causal graphs in a notebook.

    Every change is answered at once: whether the effect is identified and how, what to adjust for,
    which paths are open and why, what data could refute.

    Parameters
    ----------
    model_or_graph : pymc.Model, Fit, networkx.DiGraph or str, optional
        What to begin with. Default: an empty sheet. A model is read; drawing does not change it.
    treatment, outcome, given : str or iterable of str, optional
        Marked from the start. Default: what the graph marks.
    exercises : bool, default False
        Whether the exercises of the playground are offered.

    Returns
    -------
    GraphEditor
        Shows itself as the last value of a cell. It is taken wherever a graph is, by
        :func:`identify`, :func:`paths`, :func:`roles` and the others, as drawn at that time;
        ``editor.graph`` is that graph.

    Raises
    ------
    GraphError
        Without anywidget, with the remedy; or if the graph cannot be read.
    UnknownVariableError
        If a name is not in the graph.

    Examples
    --------
    >>> import bayescausal as bc
    >>> editor = bc.edit_graph("X -> M -> Y; X <-> Y", treatment="X", outcome="Y")
    >>> bc.identify(editor).method, bc.to_edges(editor)[0]
    ('front door', ('M', 'Y', '->'))
    """
    if find_spec("anywidget") is None:
        raise GraphError(
            "edit_graph shows a widget, and anywidget is not installed.",
            remedy='Install it: pip install "bayescausal[widget]". The playground in the '
            "documentation is the same editor without an installation.",
        )
    if model_or_graph is None:
        if treatment is not None or outcome is not None or given is not None:
            raise GraphError("There is no graph yet whose variables could be marked.",
                             remedy="Pass the graph first.")  # fmt: skip
        return GraphEditor({"nodes": [], "arrows": []}, exercises)
    return GraphEditor(_drawing(model_or_graph, treatment, outcome, given), exercises)


# --------------------------------------------------------------------------- private


def _drawing(
    model_or_graph: ModelOrGraph,
    treatment: Names | None,
    outcome: Names | None,
    given: Names | None,
) -> dict[str, Any]:
    """Return a graph or the graph of a model as a drawing, with its marks."""
    graph = as_graph(with_latents(model_or_graph, None))
    drawing = drawing_of(graph)
    for mark, names in (("treatment", treatment), ("outcome", outcome), ("given", given)):
        if names is not None:
            marked = as_names(graph, names, mark)
            hidden = [n for n in marked if n in latents(graph) and mark != "given"]
            if hidden:
                raise GraphError(f"{hidden[0]!r} is not measured, and was named as {mark}.")
            for node in drawing["nodes"]:
                node.pop(mark, None)
                node |= {mark: True} if node["name"] in marked else {}
    return drawing


def _answered(widget: Widget, content: dict[str, Any], _: object) -> None:
    """Answer what the editor asks."""
    widget.send({"id": content["id"], "answer": explore(content["request"])})


@cache
def _widget_class() -> Callable[..., Widget]:
    """Return the class of the widget; made on first use, for anywidget is optional."""
    anywidget, traitlets = import_module("anywidget"), import_module("traitlets")

    class Editor(anywidget.AnyWidget):  # type: ignore[name-defined, misc]
        _esm = editor_js()
        _css = editor_css()
        drawing = traitlets.Dict().tag(sync=True)
        exercises = traitlets.Bool(False).tag(sync=True)

    return Editor
