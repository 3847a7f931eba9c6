"""Rows that do not fit in memory: time and peak memory of a fit and its questions.

``python -m benchmarks.stream [--rows 100000000] [--kind kidney|linear] [--folder PATH]`` writes the
rows as Parquet, a few million at a time, measures each kind in a process of its own, and removes
the file again.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np

__all__ = ["MODELS", "main", "measured", "write_rows"]

#: Rows that are written at a time.
PIECE = 2_000_000


def kidney() -> Any:
    """Return the saturated model of kidney stones."""
    from bayescausal import datasets

    return datasets.kidney_stones().model


def linear() -> Any:
    """Return a linear model with an effect that differs between units."""
    import pymc as pm

    with pm.Model(coords={"unit": [0]}) as model:
        z = pm.Normal("z", 0, 1, dims="unit")
        share = pm.Beta("share", 1, 1)
        x = pm.Bernoulli("x", share, dims="unit")
        a, b, c, d = (pm.Normal(name, 0, 10) for name in ("a", "b", "c", "d"))
        sigma = pm.HalfNormal("sigma", 5)
        pm.Normal("y", a + b * x + c * z + d * x * z, sigma, dims="unit")
    return model


#: By name: the model, and the treatment, outcome and covariate that are asked about.
MODELS = {
    "kidney": (kidney, ("treatment", "success", {"large": 1})),
    "linear": (linear, ("x", "y", {"z": (0.0, 1.0)})),
}


def write_rows(kind: str, rows: int, path: Path) -> None:
    """Write rows of a kind as one Parquet file.

    Parameters
    ----------
    kind : {"kidney", "linear"}
    rows : int
    path : Path
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    writer = None
    for start in range(0, rows, PIECE):
        rng = np.random.default_rng([7, start])
        n = min(PIECE, rows - start)
        if kind == "kidney":
            large = rng.random(n) < 0.49
            treatment = rng.random(n) < np.where(large, 0.77, 0.24)
            success = rng.random(n) < 0.9 - 0.15 * large + 0.05 * treatment
            table = pa.table(
                {"large": large, "treatment": treatment, "success": success.astype(np.int8)}
            )
        else:
            z = rng.standard_normal(n, dtype=np.float32)
            x = rng.random(n) < 0.4
            y = 1.0 + 0.5 * x - 0.3 * z + 0.2 * x * z + rng.standard_normal(n)
            table = pa.table({"z": z, "x": x, "y": y.astype(np.float32)})
        writer = writer or pq.ParquetWriter(path, table.schema)
        writer.write_table(table, row_group_size=1_000_000)
    if writer is not None:
        writer.close()


def measured(kind: str, path: str) -> dict[str, Any]:
    """Fit a file and ask two questions; return seconds, memory and answers.

    Parameters
    ----------
    kind : {"kidney", "linear"}
    path : str

    Returns
    -------
    dict
    """
    import bayescausal as bc

    make, (treatment, outcome, given) = MODELS[kind]
    model = make()
    marks = [perf_counter()]
    fit = bc.fit(model, path, seed=1, progressbar=False)
    marks.append(perf_counter())
    ate = bc.estimate(fit, bc.ATE(treatment, outcome))
    marks.append(perf_counter())
    cate = bc.estimate(fit, bc.CATE(treatment, outcome, given=given))
    marks.append(perf_counter())
    fitted, asked, narrowed = (round(float(v), 2) for v in np.diff(marks))
    unit = 2**30 if sys.platform == "darwin" else 2**20
    return {
        "kind": kind,
        "rows": len(fit.data),
        "fit, s": fitted,
        "ATE, s": asked,
        "CATE, s": narrowed,
        "peak memory, GB": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit, 2),
        "ATE": str(ate),
        "CATE": str(cate),
    }


def main(arguments: list[str] | None = None) -> int:
    """Write rows, measure, and print what was found.

    Parameters
    ----------
    arguments : list of str, optional

    Returns
    -------
    int
    """
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=100_000_000)
    parser.add_argument("--kind", choices=sorted(MODELS), action="append")
    parser.add_argument("--folder", default=None)
    parser.add_argument("--only-measure", nargs=2, metavar=("KIND", "FILE"), default=None)
    asked = parser.parse_args(arguments)
    if asked.only_measure:
        print(json.dumps(measured(*asked.only_measure), indent=2))
        return 0
    for kind in asked.kind or sorted(MODELS):
        with tempfile.TemporaryDirectory(dir=asked.folder) as folder:
            path = Path(folder) / f"{kind}.parquet"
            write_rows(kind, asked.rows, path)
            print(f"{path.stat().st_size / 1e9:.2f} GB", flush=True)
            command = [sys.executable, "-m", "benchmarks.stream", "--only-measure", kind, str(path)]
            subprocess.run(command, check=True)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
