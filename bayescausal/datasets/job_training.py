r"""Job training: an experiment whose answer is known, and the observational study without it.

The National Supported Work demonstration gave, by lot, a year of work to people with little chance
of a job. R. LaLonde [1]_ laid aside the experiment's controls, put people of a population survey in
their place, and asked whether the methods of the day find the experiment's answer; Dehejia and
Wahba [2]_ chose the sample used here. The trained are 185 men; the experiment's 260 controls earned
1,794 dollars less in 1978 than they did, which is the benchmark. The 429 of the survey (PSID) are
older, richer, more often married and white, and earned 635 more.

The rows are those of R's MatchIt (the trained and the survey) and of causaldata (MIT), as shipped
by CausalPy (Apache-2.0).

References
----------
.. [1] R. J. LaLonde, "Evaluating the econometric evaluations of training programs with experimental
   data", American Economic Review 76 (1986), 604-620.
.. [2] R. H. Dehejia and S. Wahba, "Causal effects in nonexperimental studies: reevaluating the
   evaluation of training programs", Journal of the American Statistical Association 94 (1999),
   1053-1062.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from bayescausal.types import DataError, closest

__all__ = ["job_training"]

CONTROLS = ("survey", "experiment")


def job_training(controls: str = "survey") -> pd.DataFrame:
    """Return the 185 trained men beside controls of a survey, or those of the experiment.

    Parameters
    ----------
    controls : {"survey", "experiment"}
        The 429 of the survey, or the 260 that lot left without training.

    Returns
    -------
    DataFrame
        ``treat`` (trained), ``age``, ``educ`` (years), ``race``, ``married``, ``nodegree`` and the
        earnings ``re74``, ``re75``, before, and ``re78``, after the training, in dollars.

    Raises
    ------
    DataError
        For other controls.

    References
    ----------
    R. H. Dehejia and S. Wahba, "Causal effects in nonexperimental studies: reevaluating the
    evaluation of training programs", Journal of the American Statistical Association 94 (1999),
    1053-1062.

    Examples
    --------
    >>> from bayescausal import datasets
    >>> for controls in ("experiment", "survey"):
    ...     means = datasets.job_training(controls).groupby("treat")["re78"].mean()
    ...     print(round(means[1] - means[0]))
    1794
    -635
    """
    if controls not in CONTROLS:
        raise DataError(
            f"controls={controls!r}.",
            expected=f"one of {', '.join(CONTROLS)}.",
            names=closest(str(controls), CONTROLS)[:1],
        )
    table = pd.read_csv(Path(__file__).with_suffix(".csv"))
    kept = table[table["group"].isin(["trained", controls])]
    return kept.drop(columns="group").reset_index(drop=True)
