"""A real cluster of two workers, one of which dies on the way: the answer is the same."""

from __future__ import annotations

import os
from pathlib import Path

import dask.dataframe as dd
import numpy as np
import pandas as pd
import pymc as pm
import pytest

import bayescausal as bc

FAST = {"seed": 5, "draws": 50, "chains": 2, "progressbar": False}
PARTS, ROWS = 6, 400


def linear():
    with pm.Model(coords={"unit": [0]}) as model:
        z = pm.Normal("z", 0, 1, dims="unit")
        p = pm.Beta("p", 1, 1)
        x = pm.Bernoulli("x", p, dims="unit")
        a, b, c, d = (pm.Normal(n, 0, 2) for n in "abcd")
        sigma = pm.HalfNormal("sigma")
        pm.Normal("y", a + b * x + c * z + d * x * z, sigma, dims="unit")
    return model


def partition(number):
    rng = np.random.default_rng([3, number])
    z, x = rng.normal(size=ROWS), rng.integers(0, 2, ROWS)
    return pd.DataFrame({"z": z, "x": x, "y": 1 + 0.5 * x - z + x * z + rng.normal(size=ROWS)})


def deadly(number, flag):
    """Return a partition; the first to read the fourth dies with its process."""
    if number == 3 and not os.path.exists(flag):
        if os.path.isdir(os.path.dirname(flag)):
            Path(flag).touch()
        os._exit(1)
    return partition(number)


@pytest.mark.slow  # starting processes, some of them twice
@pytest.mark.filterwarnings("ignore")  # what the cluster says of a worker that is gone
def test_a_worker_that_dies_does_not_change_the_answer(tmp_path):
    from distributed import Client, LocalCluster

    rows = pd.concat([partition(i) for i in range(PARTS)], ignore_index=True)
    model = linear()
    whole = bc.fit(model, rows, **FAST)
    questions = [bc.ATE("x", "y"), bc.CATE("x", "y", given={"z": (0, 1)})]
    expected = bc.estimate(whole, questions)
    meta = partition(0).iloc[:0]
    with (
        LocalCluster(
            n_workers=2,
            threads_per_worker=1,
            dashboard_address=None,
            local_directory=str(tmp_path),
        ) as cluster,
        Client(cluster) as client,
    ):
        pids = set(client.run(os.getpid).values())
        flag = tmp_path / "fit"
        frame = dd.from_map(deadly, range(PARTS), flag=str(flag), meta=meta)
        found = bc.fit(model, frame, **FAST)
        assert flag.exists()
        client.wait_for_workers(2)
        assert set(client.run(os.getpid).values()) != pids  # one is new
        for name in whole.posterior:
            np.testing.assert_allclose(
                found.posterior[name], whole.posterior[name], rtol=0, atol=1e-9
            )
        flag.unlink()  # and once more on the second pass
        answers = bc.estimate(found, questions)
        assert flag.exists()
    for one, other in zip(answers, expected, strict=True):
        np.testing.assert_allclose(one.draws, other.draws, rtol=0, atol=1e-9)
        assert one.population == other.population


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
def test_a_partition_that_kills_every_worker_is_told(tmp_path):
    import dask
    from distributed import Client, LocalCluster

    frame = dd.from_map(
        deadly, range(PARTS), flag=str(tmp_path / "gone" / "never"), meta=partition(0).iloc[:0]
    )
    with (
        dask.config.set({"distributed.scheduler.allowed-failures": 0}),
        LocalCluster(
            n_workers=2,
            threads_per_worker=1,
            dashboard_address=None,
            local_directory=str(tmp_path),
        ) as cluster,
        Client(cluster),
        pytest.raises(bc.BayesCausalError, match="every worker that took a certain partition died"),
    ):
        bc.fit(linear(), frame, **FAST)
