r"""Job training: an experiment whose answer is known, and the observational study without it.

The National Supported Work demonstration gave, by lot, a year of work to people with little chance
of a job. R. LaLonde [1]_ laid aside the experiment's controls, put people of a population survey in
their place, and asked whether the methods of the day find the experiment's answer; Dehejia and
Wahba [2]_ chose the sample used here. The trained are 185 men; the experiment's 260 controls earned
1,794 dollars less in 1978 than they did, which is the benchmark. The 429 of the survey (PSID) are
older, richer, more often married and white, and earned 635 more.

The rows are those of the tables ``"lalonde"`` and ``"nsw_dw"`` of :func:`load`, which names their
sources and licences.

References
----------
.. [1] R. J. LaLonde, "Evaluating the econometric evaluations of training programs with experimental
   data", American Economic Review 76 (1986), 604-620.
.. [2] R. H. Dehejia and S. Wahba, "Causal effects in nonexperimental studies: reevaluating the
   evaluation of training programs", Journal of the American Statistical Association 94 (1999),
   1053-1062.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from bayescausal.datasets.shipped import load
from bayescausal.types import DataError, closest

if TYPE_CHECKING:
    import pandas as pd

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
    if controls == "survey":
        return load("lalonde").drop(columns=["rownames", "hispan", "white"])
    table = load("nsw_dw").rename(columns={"marr": "married"})
    race = table["black"].map({1: "black"}).fillna(table["hisp"].map({1: "hispan"}))
    table.insert(3, "race", race.fillna("white"))
    return table.drop(columns=["black", "hisp"])
