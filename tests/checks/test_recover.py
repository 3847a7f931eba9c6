"""recover: what is compared, what the summary says, failures, hidden columns, messages."""

from __future__ import annotations

import json

import matplotlib as mpl
import numpy as np
import pandas as pd
import pymc as pm
import pytest

import bayescausal as bc
from bayescausal.checks.studies.recover import recover_with
from bayescausal.checks.studies.recovery import MEASURES, summarise_rows
from bayescausal.checks.studies.rows import COLUMNS, thinned
from bayescausal.types import (
    BayesCausalError,
    DataError,
    EstimandError,
    FixedUnitsError,
    ParameterError,
    PotentialError,
    StudyError,
    UnknownVariableError,
)

mpl.use("Agg")

TRUTH = {"a": 0.5, "b": 0.7, "c": -0.4, "i": 0.1, "sx": 1.0, "sy": 0.8}


def confounded() -> pm.Model:
    """z -> x -> y, z -> y: every block is drawn exactly."""
    with pm.Model(coords={"unit": [0]}) as model:
        a, b, c, i = (pm.Normal(n, 0, 1) for n in "abci")
        sx, sy = pm.HalfNormal("sx"), pm.HalfNormal("sy")
        z = pm.Normal("z", 0, 1, dims="unit")
        x = pm.Normal("x", a * z, sx, dims="unit")
        pm.Normal("y", i + b * x + c * z, sy, dims="unit")
    return model


def naive() -> pm.Model:
    """The same outcome without the confounder."""
    with pm.Model(coords={"unit": [0]}) as model:
        b, i, sx, sy = pm.Normal("b"), pm.Normal("i"), pm.HalfNormal("sx"), pm.HalfNormal("sy")
        x = pm.Normal("x", 0, sx, dims="unit")
        pm.Normal("y", i + b * x, sy, dims="unit")
    return model


MODEL = confounded()
ATE = bc.ATE("x", "y")


def run(model=MODEL, truth=TRUTH, estimands=ATE, **options):
    base = {"units": 60, "replicates": 6, "seed": 1, "progressbar": False, "draws": 100}
    return bc.recover(model, truth, estimands, **{**base, **options})


def run_with(fit, **options):
    base = {"units": 60, "seed": 1, "progressbar": False, "options": {"draws": 100}}
    return recover_with(MODEL, TRUTH, ATE, fit=fit, **{**base, **options})


def same(a: pd.DataFrame, b: pd.DataFrame) -> None:
    """Equal but for how long it took."""
    pd.testing.assert_frame_equal(
        a.drop(columns="seconds"), b.drop(columns="seconds"), check_exact=True
    )


# ------------------------------------------------------------------------ what is compared


def test_a_right_model_recovers_and_an_omitted_confounder_does_not():
    """Bias of the short regression: c a / (a^2 + sx^2) = -0.16 at n large."""
    right = run(replicates=30, units=100)
    table = right.summary()
    assert list(table.columns) == [*MEASURES, *(f"{m}_mcse" for m in MEASURES)]
    row = table.loc["ATE x -> y"]
    assert row["truth"] == pytest.approx(0.7)
    assert abs(row["bias"]) < 4 * row["bias_mcse"] + 0.01
    assert row["failed"] == 0
    assert row["power"] == 1
    assert row["sign_error"] == 0
    wrong = run(replicates=30, units=100, fit_model=naive()).summary().loc["ATE x -> y"]
    expected = TRUTH["c"] * TRUTH["a"] / (TRUTH["a"] ** 2 + TRUTH["sx"] ** 2)
    assert wrong["bias"] == pytest.approx(expected, abs=4 * wrong["bias_mcse"] + 0.005)
    assert wrong["coverage_94"] < row["coverage_94"]


def test_rows_hold_what_was_promised():
    rows = run(parameters=True).rows
    assert list(rows.columns) == [c for c in COLUMNS if c not in ("rank", "ranked", "slack")]
    assert set(rows["kind"]) == {"estimand", "parameter"}
    mine = rows[rows["estimand"] == "ATE x -> y"]
    b = rows[rows["estimand"] == "b"]
    np.testing.assert_allclose(mine["mean"], b["mean"], rtol=1e-10)  # the ATE is b
    inside = (mine["truth"] >= mine["hdi94_lb"]) & (mine["truth"] <= mine["hdi94_ub"])
    assert (inside == (mine["covered"] == 1)).all()
    assert (mine["method"] == "conjugate (linear-Gaussian)").all()
    assert (mine["seconds"] > 0).all()


def test_the_truth_is_that_of_the_sample_latents_and_noise_included():
    """With an effect that varies with a latent, the sample's own average is the truth."""
    with pm.Model(coords={"unit": [0]}) as model:
        b, s = pm.Normal("b"), pm.HalfNormal("s")
        u = pm.Normal("u", 0, 1, dims="unit")
        x = pm.Normal("x", 0, 1, dims="unit")
        pm.Normal("y", (b + u) * x, s, dims="unit")
    truth = {"b": 1.0, "s": 0.5}
    study = run(model, truth, {"ATE": ATE, "ITE": bc.ITE("x", "y"), "mean u": mean_of_u}, units=30)
    by_name = {
        str(name): rows.set_index("replicate") for name, rows in study.rows.groupby("estimand")
    }
    ate, u = by_name["ATE"]["truth"], by_name["mean u"]["truth"]
    np.testing.assert_allclose(ate, 1 + u, atol=1e-12, rtol=0)
    assert ate.std() > 0.05
    table = study.summary()
    assert "ITE" in table.index  # one row: units are averaged
    assert (study.rows.groupby("estimand").size() == [6, 6 * 20, 6]).all()
    assert any("20 units" in note for note in study.notes)


def mean_of_u(fit, seed):
    """Return the mean of u over units, per draw."""
    values = fit.value("u")
    if fit.varies("u"):
        return values.mean(axis=1)
    return np.full(fit.n_draws, values.mean())


def test_hidden_columns_are_not_seen_by_the_fit():
    seen = []

    def mock(data, seed):
        seen.append(list(data.columns))
        return bc.prior(MODEL, data, draws=20, seed=seed)

    study = run_with(mock, observed=["x", "y"], replicates=1)
    assert seen == [["x", "y"]]
    assert (study.rows["failure"] == "").all()
    with pytest.raises(UnknownVariableError, match="'xx' is not"):
        run(observed=["xx"])
    with pytest.raises(StudyError, match="would see nothing"):
        run(observed=[])


@pytest.mark.slow
def test_hidden_columns_are_latent_in_the_fit():
    study = run(observed=["x", "y"], units=30, replicates=2, tune=100, chains=2)
    assert study.rows["method"].str.contains("nuts").all()
    assert (study.rows["failure"] == "").all()


def test_data_from_a_trial():
    """A randomised treatment: the naive model is then right (design: do=)."""
    with pm.Model(coords={"unit": [0]}) as model:
        a, b, c = pm.Normal("a"), pm.Normal("b"), pm.Normal("c")
        z = pm.Normal("z", 0, 1, dims="unit")
        x = pm.Bernoulli("x", logit_p=a * z, dims="unit")
        pm.Normal("y", b * x + c * z, 1, dims="unit")
    with pm.Model(coords={"unit": [0]}) as short:
        b, i, s = pm.Normal("b"), pm.Normal("i"), pm.HalfNormal("s", 3)
        x = pm.Bernoulli("x", 0.5, dims="unit")
        pm.Normal("y", i + b * x, s, dims="unit")
    truth = {"a": 2.0, "b": 0.5, "c": 1.0}
    options = {"units": 200, "replicates": 20, "fit_model": short}
    seen = run(model, truth, ATE, **options).summary().iloc[0]
    trial = (
        run(model, truth, ATE, do={"x": bc.Stochastic(pm.Bernoulli.dist(0.5))}, **options)
        .summary()
        .iloc[0]
    )
    assert seen["bias"] > 0.5
    assert abs(trial["bias"]) < 4 * trial["bias_mcse"] + 0.02


def test_the_truth_of_the_population_is_not_that_of_a_sample():
    with pm.Model(coords={"unit": [0]}) as model:
        b = pm.Normal("b")
        z = pm.Normal("z", 0.5, 1, dims="unit")
        x = pm.Normal("x", 0, 1, dims="unit")
        pm.Normal("y", b * x * z, 1, dims="unit")
    asked = {
        "sample": bc.ATE("x", "y"),
        "population": bc.ATE("x", "y", population="superpopulation"),
    }
    rows = run(model, {"b": 2.0}, asked, units=50, replicates=4).rows
    wide = rows.loc[rows["estimand"] == "population", "truth"]
    assert wide.nunique() == 1
    assert wide.iloc[0] == pytest.approx(1.0, abs=0.05)
    narrow = rows[rows["estimand"] == "sample"]
    assert narrow["truth"].nunique() == 4


def test_answers_with_several_cells_are_compared_cell_by_cell():
    with pm.Model(coords={"unit": [0]}) as model:
        b = pm.Normal("b")
        g = pm.Bernoulli("g", 0.5, dims="unit")
        x = pm.Normal("x", 0, 1, dims="unit")
        pm.Normal("y", b * x * (1 + g), 1, dims="unit")
    study = run(model, {"b": 1.0}, bc.ATE("x", "y", by="g"), units=40, replicates=4)
    table = study.summary()
    assert list(table.index) == ["ATE x -> y [g=0]", "ATE x -> y [g=1]"]
    assert table["truth"].tolist() == [1.0, 2.0]
    with pytest.raises(StudyError, match="One ax for 2"):
        study.plot(ax=mpl.figure.Figure().subplots())
    assert len(study.plot()) == 2


# --------------------------------------------------------------------------------- failures


def test_failures_are_rows_and_count():
    def breaks(fit, seed):
        if fit.kind == "posterior" and fit.seed % 2:
            raise ZeroDivisionError("no luck")
        return bc.estimate(fit, ATE)

    study = run(estimands={"sound": ATE, "breaks": breaks}, replicates=10)
    lost = study.failures
    assert len(lost)
    assert set(lost["estimand"]) == {"breaks"}
    assert lost["failure"].iloc[0] == "ZeroDivisionError: no luck"
    assert len(study.rows) == 20
    table = study.summary()
    assert table.loc["breaks", "failed"] == len(lost) / 10
    assert table.loc["sound", "failed"] == 0
    assert "failed" in repr(study)
    assert any("replicates failed" in note for note in study.notes)


def test_an_answer_with_other_draws_than_the_fit_is_a_failure():
    study = run(estimands={"short": lambda fit, seed: np.zeros(3)}, replicates=1)
    assert "gave 1 chains x 3 draws" in study.failures["failure"].iloc[0]


def test_a_replicate_that_fails_as_a_whole_is_a_row_per_question():
    def mock(data, seed):
        raise RuntimeError("the sampler stopped")

    study = run_with(mock, replicates=3)
    assert study.rows["failure"].tolist() == ["RuntimeError: the sampler stopped"] * 3
    row = study.summary().iloc[0]
    assert row["failed"] == 1
    assert np.isnan(row["bias"])
    study.plot()
    assert "1" in study._repr_html_()


def test_the_summary_by_hand():
    """Four replicates, one failed, one that misses."""
    blank = dict.fromkeys(COLUMNS, np.nan)
    base = {**blank, "estimand": "q", "cell": "", "kind": "estimand", "pooled": False, "null": 0.0}
    lines = [(1.0, 1.2, 0.5, 1.9, 1.0), (1.0, 0.6, -0.1, 1.3, 1.0), (1.0, -0.8, -1.5, -0.1, 0.0)]
    rows = [
        {**base, "replicate": i, "truth": t, "mean": m, "sd": 0.4, "hdi94_lb": low,
         "hdi94_ub": high, "covered": hit, "covered_50": 0.0, "failure": ""}
        for i, (t, m, low, high, hit) in enumerate(lines)
    ]  # fmt: skip
    rows.append({**base, "replicate": 3, "failure": "DataError: no"})
    table = summarise_rows(pd.DataFrame(rows), 4).loc["q"]
    errors = np.array([0.2, -0.4, -1.8])
    assert table["bias"] == pytest.approx(errors.mean())
    assert table["bias_mcse"] == pytest.approx(errors.std(ddof=1) / np.sqrt(3))
    assert table["rmse"] == pytest.approx(np.sqrt((errors**2).mean()))
    squares = (errors**2).std(ddof=1) / np.sqrt(3)
    assert table["rmse_mcse"] == pytest.approx(squares / (2 * table["rmse"]))
    assert table["coverage_94"] == pytest.approx(2 / 3)
    assert table["coverage_94_mcse"] == pytest.approx(np.sqrt(2 / 9 / 3))
    assert table["width"] == pytest.approx(1.4)
    assert table["power"] == pytest.approx(2 / 3)
    assert table["sign_error"] == 0.5
    assert table["failed"] == 0.25
    assert table["failed_mcse"] == pytest.approx(np.sqrt(0.25 * 0.75 / 4))


# ------------------------------------------------------------------------------ reproducible


def test_rows_depend_on_seed_and_number_alone():
    whole = run()
    same(whole.rows, run().rows)
    longer = run(replicates=8)
    same(whole.rows, longer.rows[longer.rows["replicate"] < 6].reset_index(drop=True))
    other = run(seed=2)
    assert not np.array_equal(whole.rows["mean"], other.rows["mean"])


def test_an_interrupted_study_continues_bit_for_bit(tmp_path):
    whole = run(estimands=[ATE, bc.Expected("y", do={"x": 1})], parameters=True)
    seen = []

    def stop(rows):
        seen.append(int(rows["replicate"].iloc[0]))
        if len(seen) == 3:
            raise KeyboardInterrupt

    path = tmp_path / "study.jsonl"
    options = {"estimands": [ATE, bc.Expected("y", do={"x": 1})], "parameters": True, "path": path}
    with pytest.raises(KeyboardInterrupt):
        run(on_replicate=stop, **options)
    with path.open("a") as file:
        file.write('{"replicate": 3, "rows": [{"repl')  # cut off in the middle of a line
    again = []
    resumed = run(on_replicate=lambda rows: again.append(int(rows["replicate"].iloc[0])), **options)
    assert seen == [0, 1, 2]
    assert again == [3, 4, 5]
    same(whole.rows, resumed.rows)
    text = path.read_text()
    assert text.endswith("\n")
    assert len(text.splitlines()) == 7
    # Nothing left to do; then longer; and without a seed, that of the file.
    same(whole.rows, run(**options).rows)
    assert run(**{**options, "seed": None}).seed == 1
    assert run(replicates=7, **options).rows["replicate"].max() == 6


def test_another_study_in_the_file_is_refused(tmp_path):
    path = tmp_path / "study.jsonl"
    run(path=path, replicates=1)
    for change, what in (
        ({"units": 61}, "units differs"),
        ({"truth": {**TRUTH, "b": 0.71}}, "truth differs"),
        ({"seed": 2}, "seed differs"),
        ({"estimands": bc.ATE("x", "y", treated=2)}, "estimands differs"),
        ({"fit_model": naive()}, "fitted model, observed differ"),
        ({"draws": 120}, "options differs"),
        ({"do": {"x": bc.Shift(1.0)}}, "do differs"),
    ):
        with pytest.raises(StudyError, match=what):
            run(path=path, replicates=1, **change)
    run(path=path, replicates=1, model=confounded())  # the same model, built again
    other = tmp_path / "notes.txt"
    other.write_text("hello\n")
    with pytest.raises(StudyError, match="holds no study"):
        run(path=other)
    with pytest.raises(StudyError, match="no folder"):
        run(path=tmp_path / "nowhere" / "study.jsonl")
    with pytest.raises(StudyError, match="is a folder"):
        run(path=tmp_path)
    lines = path.read_text().splitlines()
    path.write_text("\n".join([lines[0], "{broken}", *lines[1:]]) + "\n")
    with pytest.raises(StudyError, match="Line 2 of"):
        run(path=path)
    header = json.loads(lines[0]) | {"version": 99}
    path.write_text(json.dumps(header) + "\n")
    with pytest.raises(StudyError, match="another version"):
        run(path=path)


# ---------------------------------------------------------------------------------- messages


@pytest.mark.parametrize(
    ("change", "error", "said"),
    [
        ({"replicates": 0}, StudyError, "replicates=0"),
        ({"replicates": 2.5}, StudyError, "replicates=2.5"),
        ({"truth": None}, ParameterError, "calibrate"),
        ({"truth": {**TRUTH, "sx": -1.0}}, ParameterError, "'sx' is -1"),
        ({"truth": {"a": 1.0}}, ParameterError, "No value for 'b'"),
        ({"truth": {**TRUTH, "bb": 1.0}}, ParameterError, "'bb' is not a parameter"),
        ({"truth": [1.0]}, ParameterError, "params is a list"),
        ({"estimands": []}, EstimandError, "There is no estimand"),
        ({"estimands": "ATE"}, EstimandError, "where a question is needed"),
        ({"estimands": [ATE, 3]}, EstimandError, "where a question is needed"),
        ({"estimands": bc.ATE("w", "y")}, UnknownVariableError, "'w' is not"),
        ({"units": 0}, BayesCausalError, "units=0"),
        ({"executor": 4}, StudyError, "runs nothing"),
        ({"executor": dict}, StudyError, "runs nothing"),
        ({"observed": ["z"], "fit_model": naive()}, StudyError, "fitted model does not have"),
        ({"method": "magic"}, BayesCausalError, "magic"),
        ({"seed": -1}, BayesCausalError, "no seed"),
    ],
)
def test_messages(change, error, said):
    with pytest.raises(error, match=said):
        run(**change)


def test_a_dask_client_is_told_what_to_give():
    class Client:
        def get_executor(self):
            raise AssertionError

    with pytest.raises(StudyError, match=r"client\.get_executor\(\)"):
        run(executor=Client())


def test_models_that_cannot_be_simulated_are_refused():
    with pm.Model(coords={"unit": range(3)}) as fixed:
        b = pm.Normal("b")
        x = pm.Data("x", np.arange(3.0), dims="unit")
        pm.Normal("y", b * x, 1, dims="unit")
    with pytest.raises(FixedUnitsError, match="units=3"):
        run(fixed, {"b": 1.0}, bc.ATE("x", "y"), units=5)
    with pm.Model(coords={"unit": [0]}) as selected:
        b = pm.Normal("b")
        x = pm.Normal("x", dims="unit")
        y = pm.Normal("y", b * x, 1, dims="unit")
        pm.Potential("chosen", pm.math.switch(y > 0, 0.0, -np.inf).sum())
    with pytest.raises(PotentialError, match="chosen"):
        run(selected, {"b": 1.0}, ATE)


def test_parameters_must_have_been_kept_and_estimands_be_known():
    study = run(replicates=2)
    with pytest.raises(StudyError, match="parameters=True"):
        study.summary(parameters=True)
    with pytest.raises(StudyError, match="Did you mean 'ATE x -> y'"):
        study.plot("ATE x -> z")
    table = run(replicates=2, parameters=True).summary(parameters=True)
    assert list(table.index) == ["ATE x -> y", *TRUTH]


def test_the_picture_and_the_page():
    study = run(replicates=20)
    ax = study.plot()
    held = int(study.rows["covered"].sum())
    assert ax.get_title(loc="left") == f"ATE x -> y: {held} of 20 intervals hold the truth"
    assert "coverage_94" in study._repr_html_()
    assert repr(study) == "Recovery(20 replicates of 60 units; ATE x -> y)"


def test_a_progress_bar_counts(capsys):
    run(replicates=2, progressbar=True)
    assert "recover" in capsys.readouterr().out


def test_thinning_is_even():
    assert thinned(np.arange(12), 4).tolist() == [2, 5, 8, 11]
    assert thinned(np.arange(3), 5).tolist() == [0, 1, 2]


# --------------------------------------------------------------------- published, in teaching


def haunted() -> pm.Model:
    """Grandparents, parents, children, and a neighbourhood (U) that parents and children share."""
    with pm.Model(coords={"family": [0]}) as model:
        gp, gc, pc, bu = (pm.Normal(n, 0, 1) for n in ("b_GP", "b_GC", "b_PC", "b_U"))
        g = pm.Normal("G", 0, 1, dims="family")
        u = pm.Bernoulli("U", 0.5, dims="family")
        p = pm.Normal("P", gp * g + bu * (2 * u - 1), 1, dims="family")
        pm.Normal("C", pc * p + gc * g + bu * (2 * u - 1), 1, dims="family")
    return model


@pytest.mark.slow
def test_the_haunted_dag():
    """Adjusting for parents opens the path through U: P 1.8 and G -0.8 against 1 and 0.

    Population values of the regression of C on P and G, exact from the covariances; 20 data sets
    of 1,000, so that the standard error of the mean is .009 and the prior pulls by .002.
    """
    with pm.Model(coords={"family": [0]}) as short:
        gc, pc, i, s = pm.Normal("b_GC"), pm.Normal("b_PC"), pm.Normal("i"), pm.HalfNormal("s", 3)
        gp, sp = pm.Normal("b_GP"), pm.HalfNormal("sp", 3)
        g = pm.Normal("G", 0, 1, dims="family")
        p = pm.Normal("P", gp * g, sp, dims="family")
        pm.Normal("C", i + pc * p + gc * g, s, dims="family")
    truth = {"b_GP": 1.0, "b_GC": 0.0, "b_PC": 1.0, "b_U": 2.0}
    asked = {
        "P": bc.CDE("P", "C", mediators={"G": 0.0}),
        "G": bc.CDE("G", "C", mediators={"P": 0.0}),
    }
    options = {"units": 1000, "replicates": 20}
    adjusted = run(haunted(), truth, asked, fit_model=short, **options).summary()
    assert adjusted.loc["P", "truth"] == 1.0
    assert adjusted.loc["G", "truth"] == 0.0
    assert adjusted.loc["P", "mean"] == pytest.approx(1.8, abs=0.04)
    assert adjusted.loc["G", "mean"] == pytest.approx(-0.8, abs=0.04)
    assert adjusted["coverage_94"].max() < 0.1
    seen = run(haunted(), truth, asked, **options).summary()
    assert seen.loc["P", "mean"] == pytest.approx(1.0, abs=0.04)
    assert seen.loc["G", "mean"] == pytest.approx(0.0, abs=0.04)
    assert seen["coverage_94"].min() > 0.7


def test_plant_and_fungus():
    """Soil treatment keeps fungus away; fungus stunts. Adjusting for fungus hides the effect.

    The effect is b_f (P(f | T=1) - P(f | T=0)) = -3 (0.1 - 0.5) = 1.2; given fungus it is 0.
    """

    def plants(direct: bool) -> pm.Model:
        with pm.Model(coords={"plant": [0]}) as model:
            p0, p1 = pm.Beta("p0", 1, 1), pm.Beta("p1", 1, 1)
            i, b_f, s = pm.Normal("i", 5, 2), pm.Normal("b_f", 0, 3), pm.HalfNormal("s", 2)
            t = pm.Bernoulli("T", 0.5, dims="plant")
            h0 = pm.Normal("h0", 10, 2, dims="plant")
            f = pm.Bernoulli("fungus", p0 + (p1 - p0) * t, dims="plant")
            mean = h0 + i + b_f * f
            if direct:
                mean = mean + pm.Normal("b_t", 0, 3) * t
            pm.Normal("h1", mean, s, dims="plant")
        return model

    truth = {"p0": 0.5, "p1": 0.1, "i": 5.0, "b_f": -3.0, "s": 1.0}
    asked = {
        "total": bc.ATE("T", "h1"),
        "given fungus": bc.CDE("T", "h1", mediators={"fungus": 0}),
    }
    options = {"units": 200, "replicates": 15, "fit_model": plants(True), "tune": 300}
    table = run(plants(False), truth, asked, **options).summary()
    assert table["truth"].round(6).tolist() == [1.2, 0.0]
    assert table.loc["total", "mean"] == pytest.approx(1.2, abs=4 * table.loc["total", "mean_mcse"])
    assert abs(table.loc["given fungus", "mean"]) < 4 * table.loc["given fungus", "mean_mcse"]
    assert table["coverage_94"].min() > 0.7


def test_a_study_is_known_again_by_another_process():
    """The fingerprint of a study does not depend on the process, its hashes or its addresses."""
    import os
    import subprocess
    import sys

    code = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from test_recover import confounded, marks\n"
        "print(marks(confounded()))"
    )
    folder = os.path.dirname(__file__)
    done = subprocess.run(
        [sys.executable, "-c", code, folder],
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
        env={**os.environ, "PYTHONHASHSEED": "123"},
    )
    assert done.stdout.strip().splitlines()[-1] == marks(confounded())
    assert marks(naive()) != marks(confounded())


def marks(model):
    """Return the fingerprint of parts of all kinds."""
    from bayescausal.checks.studies.ledger import fingerprint

    def question(fit, seed):
        return fit.posterior["b"] * 2.0

    asked = {
        "a": bc.ATE("x", "y", given={"z": (0.0, 1.0)}, population="superpopulation"),
        "b": bc.Contrast("y", {"x": bc.Policy(lambda z: z > 0)}, {"x": bc.Shift(1.0)}),
        "c": bc.QTE("x", "y", q=0.9),
        "d": question,
    }
    parts = {
        "model": model,
        "asked": asked,
        "do": {"x": bc.Stochastic(pm.Normal.dist(0, 2))},
        "truth": {k: np.asarray(v) for k, v in TRUTH.items()},
    }
    return str(fingerprint(**parts))


@pytest.mark.slow
def test_covariates_of_a_table_are_held_in_all_data_sets():
    """The spread of a slope is that of least squares on the table's rows, at any number of them."""
    rng = np.random.default_rng(2)
    with pm.Model(coords={"unit": range(8)}) as model:
        x = pm.Data("x", np.zeros(8), dims="unit")
        b = pm.Normal("b", 0, 100)
        pm.Normal("y", b * x, 1.0, dims="unit")
    table = {"x": rng.normal(0, 3.0, 40)}
    options = {"data": table, "replicates": 4, "seed": 1, "progressbar": False, "draws": 2000}
    study = bc.recover(model, {"b": 1.0}, bc.ATE("x", "y"), units=None, **options)
    assert study.units == 40
    width = (study.rows["hdi94_ub"] - study.rows["hdi94_lb"]).mean()
    right = 2 * 1.8808 / np.sqrt((table["x"] ** 2).sum())
    assert width == pytest.approx(right, rel=0.06)
    more = bc.assurance(model, {"b": 1.0}, bc.ATE("x", "y"), units=[40, 160], rule=1.1 * right,
                        **options)  # fmt: skip
    assert more.curve["met"].tolist() == [1.0, 1.0]
    assert more.curve["width"].tolist() == pytest.approx([right, right / 2], rel=0.15)
    with pytest.raises(DataError, match="no column 'x'"):
        bc.recover(model, {"b": 1.0}, bc.ATE("x", "y"), units=10, **{**options, "data": {"w": [1]}})


def test_a_failure_of_an_answer_with_several_cells_is_one_of_each():
    answered = {
        "truth": 1.0,
        "mean": 1.1,
        "sd": 0.1,
        "null": 0.0,
        "pooled": False,
        "failure": "",
        "hdi50_lb": 1.05,
        "hdi50_ub": 1.15,
        "hdi94_lb": 0.9,
        "hdi94_ub": 1.3,
        "covered_50": 0.0,
        "covered": 1.0,
    }
    asked = {"kind": "estimand", "estimand": "A"}
    rows = [asked | answered | {"replicate": r, "cell": f"g={g}"} for r in range(3) for g in (0, 1)]
    rows.append(asked | {"replicate": 3, "cell": "", "pooled": False, "failure": "broke"})
    found = summarise_rows(pd.DataFrame(rows), 4)
    assert list(found.index) == ["A [g=0]", "A [g=1]"]  # and no A that failed in 1 of 1
    assert found["failed"].tolist() == [1 / 4, 1 / 4]
    assert found["coverage_94"].tolist() == [1.0, 1.0]
