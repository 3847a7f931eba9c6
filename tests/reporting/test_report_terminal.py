"""Numbers, tables and paragraphs on a terminal."""

from __future__ import annotations

import re

import pandas as pd
import pytest

from bayescausal.reporting.terminal import (
    frame_table,
    print_table,
    say,
    table,
)


def test_tables_print_every_row(capsys):
    frame = pd.DataFrame({"mean": [0.5, -1.0], "sd": [0.1, float("nan")]}, index=["a", "b[x, 1]"])
    print_table(frame_table(frame, first="parameter"))
    shown = capsys.readouterr().out
    assert re.search(r"parameter\s+mean\s+sd", shown)
    assert re.search(r"b\[x, 1\]\s+-1\s+-", shown)


def test_square_brackets_are_not_taken_for_markup(capsys):
    rows = table("name", "value")
    rows.add_row("p[bold]", "1")
    print_table(rows)
    assert "p[bold]" in capsys.readouterr().out


def test_index_of_several_levels_is_one_label(capsys):
    index = pd.MultiIndex.from_tuples([("effect", 1)])
    print_table(frame_table(pd.DataFrame({"mean": [0.5]}, index=index)))
    assert "effect, 1" in capsys.readouterr().out


@pytest.mark.parametrize("width", range(30, 60))
def test_paragraphs_do_not_break_intervals_or_arrows(capsys, monkeypatch, width):
    monkeypatch.setenv("COLUMNS", str(width))
    text = "The effect of dilution -> coating is small (94% HDI [-0.012, 0.112]), they say."
    say(text)
    shown = capsys.readouterr().out
    assert " ".join(shown.split()) == text
    assert "\u00a0" not in shown
    assert "[-0.012, 0.112]" in shown
    assert "dilution -> coating" in shown
    assert max(map(len, shown.splitlines())) <= width
