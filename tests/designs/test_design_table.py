"""Tables at the door of a design: what is read, and what is refused in words."""

import numpy as np
import pandas as pd
import polars as pl
import pytest

from bayescausal.designs.table import (
    labels,
    numbers,
    read_table,
    refuse_duplicates,
    refuse_names,
    yes_no,
)
from bayescausal.types import DataError, UnknownVariableError

FRAME = pd.DataFrame(
    {"y": [1.0, np.nan, 3.0], "d": [0, 1, 1], "g": ["b", "a", "b"], "t": [1, 2, 3]}, index=[5, 6, 7]
)


@pytest.mark.parametrize("kind", [dict, pl.DataFrame, pd.DataFrame])
def test_any_table_gives_the_named_columns_in_their_order(kind):
    found = read_table(
        kind(FRAME.drop(columns="y")), {"arm": "g", "covariates": ["t"], "pre": None}
    )
    assert list(found.columns) == ["g", "t"]
    assert found.index.tolist() == [0, 1, 2]


def test_a_misspelt_column_is_refused_with_its_role_and_the_close_name():
    with pytest.raises(UnknownVariableError, match=r"'D2' is not a column.*treatment=.*'d'"):
        read_table(FRAME, {"treatment": "D2"})


def test_one_column_in_two_roles_is_refused():
    with pytest.raises(DataError, match="'d' is outcome= and treatment= at once"):
        read_table(FRAME, {"outcome": "d", "treatment": "d"})


def test_empty_cells_are_counted_refused_dropped_or_kept():
    with pytest.raises(DataError, match=r"1 of 3 rows have an empty cell: 'y' 1"):
        read_table(FRAME, {"outcome": "y", "treatment": "d"})
    dropped = read_table(FRAME, {"outcome": "y", "treatment": "d"}, missing="drop")
    assert len(dropped) == 2
    assert dropped.attrs["dropped"] == "1 of 3 rows were left out for an empty cell: 'y' 1."
    assert len(read_table(FRAME, {"outcome": "y"}, missing="keep")) == 3
    with pytest.raises(DataError, match="Every row has an empty cell"):
        read_table({"y": [np.nan]}, {"outcome": "y"}, missing="drop")
    with pytest.raises(DataError, match="missing='forget'"):
        read_table(FRAME, {"outcome": "y"}, missing="forget")


def test_numbers_that_are_none_are_refused():
    frame = pd.DataFrame({"g": ["a", "b"], "h": [1.5, 2.0], "c": [1.0, 1.0], "i": [np.inf, 1.0]})
    cases = [
        ("g", {}, "holds labels, such as 'a', 'b'"),
        ("h", {"whole": True}, "Whole numbers"),
        ("h", {"least": 2}, "goes down to 1.5"),
        ("c", {"varies": True}, "the one value 1"),
        ("i", {}, "infinite"),
    ]
    for column, options, said in cases:
        with pytest.raises(DataError, match=said):
            numbers(frame, column, "outcome", **options)


def test_yes_and_no():
    frame = pd.DataFrame({"b": [True, False], "z": [1, 1], "t": ["yes", "no"], "k": [1, 2]})
    assert yes_no(frame, "b", "treatment").tolist() == [1, 0]
    for column, said in [
        ("z", "is 1 in every row"),
        ("t", r"Say what is 1. Such as data\['t'\] == 'no'"),
        ("k", "holds 1, 2"),
    ]:
        with pytest.raises(DataError, match=said):
            yes_no(frame, column, "treatment")


def test_labels_are_sorted_or_in_the_order_of_their_type():
    assert labels(FRAME, "g", "arm")[1] == ("a", "b")
    ordered = pd.DataFrame({"g": pd.Categorical(["b", "a"], categories=["b", "c", "a"])})
    codes, names = labels(ordered, "g", "arm")
    assert (codes.tolist(), names) == ([0, 1], ("b", "a"))
    with pytest.raises(DataError, match="has 1 label: 'a'"):
        labels(pd.DataFrame({"g": ["a"]}), "g", "clusters")


def test_several_rows_of_one_key_are_refused_with_their_keys():
    twice = pd.concat([FRAME, FRAME.iloc[:1]])
    with pytest.raises(DataError, match=r"2 rows share their g and t: \(b, 1\), 2 rows"):
        refuse_duplicates(twice, ["g", "t"], "one row per unit and time")
    refuse_duplicates(FRAME, ["g", "t"], "one row per unit and time")


def test_names_that_cannot_be_variables_are_refused():
    for name, said in [("log wage", "cannot be the name"), ("draw", "needs for itself")]:
        with pytest.raises(DataError, match=said):
            refuse_names([name])


def test_a_table_that_is_none_is_refused():
    with pytest.raises(DataError, match="do not make a table"):
        read_table({"a": [1, 2], "b": [1]}, {"outcome": "a"})
    with pytest.raises(DataError, match="no rows"):
        read_table(pd.DataFrame({"a": []}), {"outcome": "a"})
    with pytest.raises(DataError, match="The name of a column"):
        read_table(FRAME, {"outcome": 3})
