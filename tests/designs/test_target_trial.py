"""Target trials: flow counted by hand, arms and clones, a known truth, immortal time.

Kind: a moment later than time zero decides who is eligible, in which arm one is, or what is
adjusted for. Siblings looked at: treatment read off the future, criteria and covariates
measured later, prevalent users, outcomes before time zero, units that are gone, several starts.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

import bayescausal as bc
from bayescausal.types import DataError

ROWS = [
    # 1: eligible, starts at time zero, dies on day 50
    (1, 0, "visit", 60.0), (1, 0, "drug", None), (1, 50, "death", None),
    # 2: eligible, never starts, lost on day 30
    (2, 0, "visit", 50.0), (2, 30, "lost", None),
    # 3: eligible, starts on day 10, stops on day 40, alive
    (3, 5, "visit", 40.0), (3, 15, "drug", None), (3, 45, "stop", None), (3, 300, "visit", 41.0),
    # 4: too old at time zero (and young later, which does not count)
    (4, 0, "visit", 90.0), (4, 20, "visit", 30.0),
    # 5: has had cancer before
    (5, -10, "cancer", None), (5, 0, "visit", 50.0),
    # 6: on the drug already
    (6, -5, "drug", None), (6, 0, "visit", 50.0), (6, 9, "drug", None),
    # 7: never has a visit
    (7, 3, "cancer", None),
    # 8: eligible, starts on day 60, dies on day 70
    (8, 0, "visit", 55.0), (8, 60, "drug", None), (8, 70, "death", None),
    # 9: dead before the visit is filed
    (9, 0, "death", None), (9, 1, "visit", 50.0),
    # 10: eligible, never starts, dies on day 20; cancer later does not count
    (10, 0, "visit", 45.0), (10, 10, "cancer", None), (10, 20, "death", None),
]  # fmt: skip


def table():
    return pd.DataFrame(ROWS, columns=["id", "day", "type", "value"])


def trial(**options):
    given = {
        "time": "day",
        "value": "value",
        "treatment": "drug",
        "outcome": "death",
        "time_zero": "visit",
        "follow_up": 100,
        "eligibility": {"visit": (18, 75), "cancer": False},
        "baseline": ["visit"],
        "censoring": ["lost"],
        **options,
    }
    return bc.designs.target_trial(given.pop("events", table()), **given)


def test_the_flow_is_that_counted_by_hand():
    flow = trial(grace=30).checks["flow"](None)
    assert flow.to_dict("list") == {
        "step": [
            "units in the table",
            "with visit (time zero)",
            "no death up to time zero",
            "under observation at time zero",
            "no drug before time zero",
            "visit from 18 to 75",
            "without cancer",
            "visit is known at time zero",
        ],
        "left": [10, 9, 8, 8, 7, 6, 5, 5],
        "excluded": [0, 1, 1, 0, 1, 1, 1, 0],
    }


def rows_of(design):
    """Return {(unit, arm): (time, status)}; the table of rows stands in the model's columns."""
    emulation = design.checks["ends"].__self__
    rows = emulation.rows
    units = np.array([1, 2, 3, 4, 5, 6, 7, 8, 9, 10])[rows["unit"]]
    return {
        (int(u), int(a)): (float(t), r)
        for u, a, t, r in zip(units, rows["arm"], rows["time"], rows["reason"], strict=True)
    }


def test_without_grace_the_arm_is_what_one_does_at_time_zero():
    # one more treated unit with the outcome, so that both arms have it
    found = rows_of(trial())
    assert found == {
        (1, 1): (50.0, "outcome"),
        (2, 0): (30.0, "lost"),
        (3, 0): (100.0, "end of follow-up"),  # starts later: still assigned to no drug
        (8, 0): (70.0, "outcome"),
        (10, 0): (20.0, "outcome"),
    }


def test_with_grace_units_are_in_both_arms_until_they_depart():
    found = rows_of(trial(grace=30))
    assert found == {
        (1, 1): (50.0, "outcome"),  # its clone of the other arm departs at time zero
        (2, 1): (30.0, "departed"),  # on day 30 it has neither started nor is it still there
        (2, 0): (30.0, "lost"),
        (3, 1): (100.0, "end of follow-up"),
        (3, 0): (10.0, "departed"),
        (8, 1): (30.0, "departed"),
        (8, 0): (70.0, "outcome"),
        (10, 1): (20.0, "outcome"),  # dies before it can be told which arm it is in: in both
        (10, 0): (20.0, "outcome"),
    }


def test_per_protocol_ends_at_later_departures():
    found = rows_of(trial(grace=30, estimand="per_protocol", stop="stop"))
    assert found[3, 1] == (40.0, "departed")  # stops
    assert found[8, 0] == (60.0, "departed")  # starts after the grace period
    assert found[10, 0] == (20.0, "outcome")


def test_sequential_trials_begin_with_all_who_are_still_eligible():
    design = trial(trials="sequential", every=20, follow_up=40)
    rows = design.checks["ends"].__self__.rows
    units = np.array([1, 2, 3, 4, 5, 6, 7, 8, 9, 10])[rows["unit"]]
    by_unit = pd.Series(rows["trial"].to_numpy()).groupby(units).apply(list).to_dict()
    # 3 starts on day 10 after its zero: in trial 0 alone; 8 on day 60: in 0, 1, 2 and in 3 treated;
    # 4 is of the right age from its second visit on: eligible from trial 1 on, to the table's end
    assert by_unit[1] == [0]
    assert by_unit[3] == [0]
    assert by_unit[8] == [0, 1, 2, 3]
    assert rows.loc[(units == 8), "arm"].tolist() == [0, 0, 0, 1]
    assert by_unit[4][:2] == [1, 2]
    assert by_unit[10] == [0]
    assert "trial" in design.data


def register(n=3_000, seed=1):
    """A register in which the drug does nothing, starts late, and the sick start more often."""
    rng = np.random.default_rng(seed)
    sick = rng.normal(size=n)
    dies = rng.exponential(200 / np.exp(0.5 * sick))
    starts = rng.exponential(150 / np.exp(0.4 * sick))
    rows = [pd.DataFrame({"id": np.arange(n), "day": 0.0, "type": "visit", "value": sick})]
    for name, times in (("drug", starts), ("death", dies)):
        seen = (times < 365) & ((times < dies) | (name == "death"))
        rows.append(pd.DataFrame({"id": np.flatnonzero(seen), "day": times[seen], "type": name}))
    rows.append(pd.DataFrame({"id": [0], "day": [365.0], "type": ["end of table"]}))
    return pd.concat(rows, ignore_index=True)


def test_immortal_time_is_shown_and_avoided():
    design = bc.designs.target_trial(
        register(), time="day", value="value", treatment="drug", outcome="death",
        baseline=["visit"], follow_up=300, grace=30, estimand="per_protocol", family="exponential",
    )  # fmt: skip
    shown = design.checks["immortal time"](None)
    naive, own = shown["log hazard ratio"]
    # exponential times: a treated person-time of n deaths, none before the start
    assert naive < -0.5
    assert abs(own) < 3 * shown["se"].iloc[1]
    assert shown["immortal time"].iloc[0] > 10_000
    fit = bc.fit(design.model, design.data, draws=250, seed=1, progressbar=False)
    low, high = bc.estimate(fit, design.effects["RMST"]).interval(0.99)
    assert low < 0 < high
    ratio = design.checks["copies"](None)
    assert ratio["verdict"].tolist() == ["no matter"]
    assert {a.check for a in design.assumptions if a.check} - {"bc.hidden_confounder"} <= set(
        design.checks
    )
    ax = design.plots["flow"]()
    assert any("excluded" in t.get_text() or "followed" in t.get_text() for t in ax.texts)


def test_any_frame_and_dates_give_the_same_trial():
    import duckdb
    import polars as pl

    plain = table()
    right = rows_of(trial(grace=30))
    dates = plain.assign(day=pd.Timestamp("2020-03-01") + pd.to_timedelta(plain.day, unit="D"))
    relation = duckdb.sql("select * from plain")
    for frame in (dates, pl.from_pandas(plain), relation):
        assert rows_of(trial(events=frame, grace=30)) == right


def test_a_risk_needs_everybody_to_be_followed():
    with pytest.raises(DataError, match="1 of 5 rows were not followed for 100"):
        trial(model="binary")
    design = trial(model="binary", follow_up=25)
    assert list(design.effects) == ["risk difference", "risk ratio"]
    assert design.data["death"].tolist() == [0, 0, 0, 0, 1]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"treatment": "drg"}, "treatment='drg' is no event.*Did you mean 'drug'"),
        ({"outcome": "died"}, "outcome='died' is no event"),
        ({"baseline": ["visits"]}, "Did you mean 'visit'"),
        ({"eligibility": {"cancr": False}}, "Did you mean 'cancer'"),
        ({"eligibility": {"value": (1, 2)}}, "named in covariates= too"),
        ({"eligibility": {"visit": [1]}}, "True .has happened."),
        ({"eligibility": {"visit": (0, 1)}}, "Nobody is eligible.*visit from 0 to 1"),
        ({"follow_up": 0}, "follow_up=0"),
        ({"grace": 100}, "From 0 to less than the follow-up"),
        ({"trials": "sequential"}, "every=None"),
        ({"trials": "many"}, "single"),
        ({"estimand": "pp"}, "per_protocol"),
        ({"stop": "drug", "estimand": "per_protocol"}, "Two different events"),
        ({"eligibility": lambda h: (h.time > 0).any()}, "Nobody is eligible"),
        ({"events": table().assign(day="soon")}, "Dates, or numbers"),
    ],
)
def test_protocols_that_the_table_does_not_know_are_refused(options, said):
    with pytest.raises(DataError, match=said):
        trial(**options)


@pytest.mark.parametrize("kind", [int, bool])
@pytest.mark.parametrize("who", [True, False])
def test_true_and_false_of_a_column_are_its_values(kind, who):
    own, others = table(), table().assign(id=lambda f: f["id"] + 100, day=lambda f: f["day"] + 7)
    events = pd.concat([own.assign(female=who), others.assign(female=not who)])
    events["female"] = events["female"].astype(kind)
    some = trial(events=events, covariates=["female"], eligibility={"female": who}, grace=30)
    assert rows_of(some) == rows_of(trial(events=own, eligibility=None, grace=30))


@pytest.mark.parametrize("kind", ["boolean", "Int64"])
@pytest.mark.parametrize("rule", [True, 1])
def test_an_empty_cell_of_a_column_is_not_its_value(kind, rule):
    """Of <NA> pandas does not say whether it is True; such units are not eligible."""
    own, others = table(), table().assign(id=lambda f: f["id"] + 100)
    events = pd.concat([own.assign(female=True), others.assign(female=None)], ignore_index=True)
    events["female"] = events["female"].astype("boolean").astype(kind)
    some = trial(events=events, covariates=["female"], eligibility={"female": rule}, grace=30)
    assert rows_of(some) == rows_of(trial(events=own, eligibility=None, grace=30))


def test_true_says_nothing_of_a_column_of_many_values():
    events = table().assign(age=lambda f: 40 + f["id"])
    with pytest.raises(DataError, match="'age' is a column of values such as 41"):
        trial(events=events, covariates=["age"], eligibility={"age": True})


def test_a_rule_sees_the_history_up_to_time_zero_alone():
    seen = []

    def rule(history):
        seen.append(history.time.max())
        return (history.event == "cancer").sum() == 0 and history.value.dropna().iloc[-1] < 75

    found = rows_of(trial(eligibility=rule, grace=30))
    assert found == rows_of(trial(grace=30))
    assert max(seen) == 0
