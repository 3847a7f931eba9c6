"""Long work shows that it goes on, short work and quiet calls are silent, notebooks unwarned.

The kind: minutes without a sign of life, and a warning of a drawing library in the first cell of
a notebook. Looked at: `fit`, `estimate` (all questions go through one loop over blocks), studies.
"""

from __future__ import annotations

import importlib.util
import io

import numpy as np
import pymc as pm
import pytest
import rich.console

import bayescausal as bc
from bayescausal.inference import progress
from bayescausal.inference.progress import counted
from bayescausal.inference.sampling import sample


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.fixture
def terminal(monkeypatch):
    """A terminal that keeps what is written to it, and no patience."""
    written = Terminal()
    console = rich.console.Console

    def fake(**_):
        return console(file=written, force_terminal=True, width=100)

    monkeypatch.setattr(rich.console, "Console", fake)
    monkeypatch.setattr(progress, "PATIENCE", 0.0)
    return written


@pytest.fixture
def notebook(monkeypatch):
    """A notebook without widgets, as rich sees it."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr(rich.console, "_is_jupyter", lambda: True)


@pytest.fixture(scope="module")
def known():
    with pm.Model(coords={"unit": [0]}) as model:
        x = pm.Normal("x", dims="unit")
        b = pm.Normal("b")
        pm.Normal("y", b * x, 1, dims="unit")
    data = {n: np.random.default_rng(1).normal(size=20) for n in ("x", "y")}
    return bc.truth(model, {"b": 1.0}, data)


def test_a_long_question_shows_a_bar_and_none_when_told_not_to(known, terminal):
    asked = bc.QTE("x", "y", q=0.5)
    quiet = bc.estimate(known, asked, progressbar=False)
    assert terminal.getvalue() == ""
    shown = bc.estimate(known, asked)
    assert "QTE" in terminal.getvalue()
    assert "%" in terminal.getvalue()
    assert (shown.draws.values == quiet.draws.values).all()


def test_short_work_shows_nothing(known, terminal, monkeypatch):
    monkeypatch.setattr(progress, "PATIENCE", 60.0)
    bc.estimate(known, bc.QTE("x", "y", q=0.5))
    assert terminal.getvalue() == ""


def test_nothing_is_shown_where_there_is_no_terminal(known, monkeypatch, capfd):
    monkeypatch.setattr(progress, "PATIENCE", 0.0)
    bc.estimate(known, bc.QTE("x", "y", q=0.5))
    out, err = capfd.readouterr()
    assert out == err == ""


def test_parts_pass_unchanged_whether_or_not_a_bar_is_drawn(terminal, monkeypatch):
    for show in (True, False):
        with progress.showing("work", show):
            assert list(progress.tracked(iter(range(7)), lambda: 7)) == list(range(7))
    monkeypatch.setattr(progress, "_bar", lambda: None)
    with progress.showing("work", True):
        assert list(progress.tracked(range(7), lambda: 7)) == list(range(7))


def test_an_inner_silence_wins_over_an_outer_bar(terminal):
    with progress.showing("outer", True), progress.showing("inner", False):
        list(progress.tracked(range(3), lambda: 3))
    assert terminal.getvalue() == ""


def test_a_notebook_without_widgets_is_not_warned(notebook, monkeypatch):
    """Warnings are errors here: rich warns when it draws a bar in such a notebook."""
    assert not progress.can_show()
    with counted("study", 2, 0, True) as advance:
        advance(False)
    asked = {}

    def sampled(*_, **options):
        asked.update(options)
        raise RuntimeError("far enough")

    monkeypatch.setattr(pm, "sample", sampled)
    monkeypatch.setattr(sample, "lean", lambda structure, model: model)
    with pm.Model() as model:
        pm.Normal("m")
    with pytest.raises(ValueError, match="far enough"):
        sample.sample_model(None, model, draws=1, chains=1, seed=1, progressbar=True)
    assert asked["progressbar"] is False


def test_a_terminal_and_a_notebook_with_widgets_have_their_bar(monkeypatch):
    assert progress.can_show()
    monkeypatch.setattr(rich.console, "_is_jupyter", lambda: True)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: object())
    assert progress.can_show()


def test_a_report_in_a_notebook_without_widgets_is_not_warned(monkeypatch):
    """Where there is no place for a bar, the report's own line is not drawn either."""
    from bayescausal.reporting import progress as line

    made = []

    class Notebook:
        is_jupyter, is_terminal = True, False

    monkeypatch.setattr(rich.console, "Console", lambda **_: Notebook())
    monkeypatch.setattr("rich.progress.Progress", lambda *a, **k: made.append(a))
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with line.steps(2, True) as tell:
        tell("one")
    assert not made
