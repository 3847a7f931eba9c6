"""Studies run anywhere: threads, processes, a Dask cluster; workers that die on the way."""

from __future__ import annotations

import multiprocessing
import os
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor

import pandas as pd
import pymc as pm
import pytest

import bayescausal as bc
from bayescausal.checks.studies.engine import TRIES
from bayescausal.inference.sampling.few import METHOD
from bayescausal.types import StudyError


def model() -> pm.Model:
    with pm.Model(coords={"unit": [0]}) as made:
        b, s = pm.Normal("b"), pm.HalfNormal("s")
        x = pm.Normal("x", 0, 1, dims="unit")
        pm.Normal("y", b * x, s, dims="unit")
    return made


MODEL = model()
TRUTH = {"b": 0.5, "s": 1.0}


def run(estimands=None, **options):
    base = {"units": 20, "replicates": 4, "seed": 3, "progressbar": False, "draws": 50}
    asked = bc.ATE("x", "y") if estimands is None else estimands
    return bc.recover(MODEL, TRUTH, asked, **{**base, **options})


def same(a: pd.DataFrame, b: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(
        a.drop(columns="seconds"), b.drop(columns="seconds"), check_exact=True
    )


def kills_once(marker, replicate_seeds):
    """Return a question that kills the process that asks it, once per marker file."""

    def question(fit, seed):
        if seed in replicate_seeds and not os.path.exists(marker):
            with open(marker, "w"):
                os._exit(1)
        return bc.estimate(fit, bc.ATE("x", "y"), seed=1)

    return question


@pytest.fixture(scope="module")
def serial():
    return run(replicates=6)


def test_threads_give_the_same_rows(serial):
    with ThreadPoolExecutor(3) as pool:
        same(serial.rows, run(replicates=6, executor=pool).rows)


def test_threads_draw_few_unknowns_alike():
    """And simulate heavy tails again: it failed once numbers of the model had been looked at."""
    with pm.Model(coords={"unit": [0]}) as heavy:
        b, s = pm.Normal("b"), pm.HalfNormal("s")
        x = pm.Normal("x", 0, 1, dims="unit")
        pm.StudentT("y", nu=4, mu=b * x, sigma=s, dims="unit")
    options = {"units": 20, "replicates": 3, "seed": 3, "progressbar": False, "draws": 50}
    studies = [bc.recover(heavy, TRUTH, bc.ATE("x", "y"), **options)]
    with ThreadPoolExecutor(2) as pool:
        studies.append(bc.recover(heavy, TRUTH, bc.ATE("x", "y"), executor=pool, **options))
    same(studies[0].rows, studies[1].rows)
    assert (studies[0].rows["failure"] == "").all()
    assert set(studies[0].rows["method"]) == {METHOD}


@pytest.mark.slow
def test_processes_give_the_same_rows_and_a_death_is_survived(serial, tmp_path):
    """The pool breaks half-way; what is missing runs in fresh processes."""
    from bayescausal.checks.studies.recipe import seeds_of

    seed = seeds_of(3, 2).answer
    asked = {"ATE x -> y": kills_once(str(tmp_path / "died"), [seed])}
    path = tmp_path / "study.jsonl"
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(2, mp_context=context) as pool:
        study = run(asked, replicates=6, executor=pool, path=path)
    assert (tmp_path / "died").exists()
    assert any("run again because a worker died" in note for note in study.notes)
    assert sorted(study.rows["replicate"]) == list(range(6))
    assert (study.rows["failure"] == "").all()
    same(study.rows, run(asked, replicates=6).rows)
    same(study.rows, run(asked, replicates=6, path=path).rows)
    columns = ["truth", "mean", "sd", "hdi94_lb", "hdi94_ub"]
    pd.testing.assert_frame_equal(study.rows[columns], serial.rows[columns])


@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # of the cluster's machinery
def test_a_dask_cluster_with_a_worker_that_dies(serial, tmp_path):
    distributed = pytest.importorskip("distributed")
    from bayescausal.checks.studies.recipe import seeds_of

    seed = seeds_of(3, 1).answer
    asked = {"ATE x -> y": kills_once(str(tmp_path / "died"), [seed])}
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        study = run(asked, replicates=6, executor=client.get_executor())
    assert (tmp_path / "died").exists()
    same(study.rows, run(asked, replicates=6).rows)


# ------------------------------------------------------------------------- without processes


class Here:
    """An executor that works at once, or does what it is told."""

    def __init__(self, fail=()):
        self.fail, self.calls = fail, 0

    def submit(self, function, *arguments):
        self.calls += 1
        future: Future = Future()
        if arguments[-1] in self.fail:
            future.set_exception(OSError("the worker was killed"))
        else:
            future.set_result(function(*arguments))
        return future


def test_any_executor_will_do(serial):
    same(serial.rows, run(replicates=6, executor=Here()).rows)


def test_a_replicate_whose_worker_always_dies_is_a_row(serial):
    pool = Here(fail=[2])
    study = run(replicates=6, executor=pool)
    assert pool.calls == 5 + TRIES
    assert study.failures["replicate"].tolist() == [2]
    assert f"The worker died {TRIES} times: OSError" in study.failures["failure"].iloc[0]
    others = serial.rows[serial.rows["replicate"] != 2].reset_index(drop=True)
    same(others, study.rows[study.rows["failure"] == ""].reset_index(drop=True))


def test_what_cannot_travel_is_said():
    import threading

    lock = threading.Lock()

    def question(fit, seed):
        with lock:
            return bc.estimate(fit, bc.ATE("x", "y"))

    with pytest.raises(StudyError, match="cannot be sent to another process"):
        run({"locked": question}, executor=Here())
    assert run({"locked": question}, replicates=1).failures.empty  # here it can


def test_an_executor_that_is_shut_is_said():
    pool = ThreadPoolExecutor(1)
    pool.shutdown()
    with pytest.raises(StudyError, match="takes no work"):
        run(executor=pool)


@pytest.mark.slow
def test_calibration_and_assurance_travel_too():
    options = {"replicates": 3, "seed": 1, "progressbar": False}
    asked = bc.ATE("x", "y")
    a = bc.calibrate(MODEL, asked, units=10, executor=Here(), **options)
    b = bc.calibrate(MODEL, asked, units=10, **options)
    same(a.rows, b.rows)
    c = bc.assurance(MODEL, TRUTH, asked, units=[10, 20], executor=Here(), **options)
    d = bc.assurance(MODEL, TRUTH, asked, units=[10, 20], **options)
    pd.testing.assert_frame_equal(c.curve, d.curve)
