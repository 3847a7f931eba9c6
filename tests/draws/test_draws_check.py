"""A check says one verdict, in words, and travels."""

from __future__ import annotations

import pickle
from functools import partial

import pandas as pd
import pytest

from bayescausal.draws.check import VERDICTS, Check


def drawn(ax=None, *, colour="black"):
    return ax, colour


def check_of(verdict="pass", **more):
    table = pd.DataFrame({"difference": [0.02]}, index=["age <b>"])
    return Check("balance & co", verdict, "All is small.", "Arms compare.", table, **more)


@pytest.mark.parametrize("verdict", VERDICTS)
def test_only_a_pass_is_true(verdict):
    check = check_of(verdict)
    assert bool(check) == (verdict == "pass")
    assert check.sentence() == "All is small. Arms compare."
    assert f"balance & co: {verdict}" in repr(check)


def test_an_unknown_verdict_is_refused():
    with pytest.raises(ValueError, match="one of pass, warn, fail, undecided"):
        check_of("good")


def test_html_is_escaped_and_the_table_is_a_copy():
    check = check_of(notes=["a < b"])
    html = check._repr_html_()
    assert "balance &amp; co" in html
    assert "a &lt; b" in html
    assert "age &lt;b&gt;" in html
    copy = check.summary()
    copy["difference"] = 7.0
    assert check.table["difference"].tolist() == [0.02]


def test_the_picture_is_drawn_on_request_alone():
    check = check_of(picture=partial(drawn, colour="red"))
    assert check.plot("axes") == ("axes", "red")
    assert check.plot(colour="blue") == (None, "blue")
    with pytest.raises(ValueError, match="has no picture"):
        check_of().plot()


def test_values_cannot_be_changed_and_survive_pickling():
    check = check_of(values={"x": [1, 2]})
    with pytest.raises(TypeError):
        check.values["x"] = 0
    again = pickle.loads(pickle.dumps(check))
    assert again.values["x"] == [1, 2]
    assert again.verdict == "pass"
    with pytest.raises(TypeError):
        again.values["x"] = 0
