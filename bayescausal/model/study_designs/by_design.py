r"""What a study design assumes, read off the equations of a model and its columns.

Five kinds of structure say more than the arrows do:

======================================  ==========================================================
structure                               what identifies the effect
======================================  ==========================================================
the treatment begins at a value of a    *continuity at the cutoff*: but for it, the outcome
running variable                        changes continuously there [1]_
the treatment begins at a time          *the trend continues*
additive effects of unit and time, and  *parallel trends*: but for it, the outcome would have
a treatment that goes with both         changed alike in all units [2]_
weights on a simplex over columns, and  *the match continues*: but for it, the outcome would have
a treatment that begins at a time       gone on as the weighted average of the columns [3]_
a threshold that moves the treatment    *the threshold is an instrument* at the cutoff: continuity,
and the outcome through it alone        exclusion and monotonicity, for compliers [1]_
======================================  ==========================================================

None of them is a property of the arrows alone, so each is an assumption that is named. With
staggered treatments and one number for the effect, two-way effects give an average with weights
that may be negative [4]_: that is said.

References
----------
.. [1] G. W. Imbens and T. Lemieux, "Regression discontinuity designs: a guide to practice",
   Journal of Econometrics 142, 2008.
.. [2] A. Abadie, "Semiparametric difference-in-differences estimators", Review of Economic
   Studies 72, 2005.
.. [3] A. Abadie, A. Diamond and J. Hainmueller, "Synthetic control methods for comparative case
   studies", Journal of the American Statistical Association 105(490), 2010.
.. [4] A. Goodman-Bacon, "Difference-in-differences with variation in treatment timing", Journal of
   Econometrics 225, 2021.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from bayescausal.graph.identification.positivity import FORM
from bayescausal.model.structure.function_graph import data_values
from bayescausal.model.study_designs.boundary import at_a_boundary
from bayescausal.model.study_designs.donors import weighted_donors
from bayescausal.model.study_designs.thresholds import threshold
from bayescausal.model.study_designs.two_way import two_way
from bayescausal.types import DataError

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from bayescausal.graph import Identification
    from bayescausal.model.structure.structure import Structure

__all__ = ["by_design"]


def by_design(
    found: Identification,
    structure: Structure,
    columns: Mapping[str, np.ndarray] | None = None,
    measured: Collection[str] | None = None,
) -> Identification:
    """Return a verdict with what the design of the study assumes.

    - `found`: from the arrows.
    - `columns`: the data. Default: what the model itself holds.
    - `measured`: names of what is measured. Default: all.

    Examples
    --------
    >>> import numpy as np, pymc as pm, bayescausal as bc
    >>> month = np.arange(24.0)
    >>> with pm.Model(coords={"row": range(24)}) as model:
    ...     t, law = pm.Data("month", month, dims="row"), pm.Data("law", month >= 12, dims="row")
    ...     y = pm.Normal("y", pm.Normal("b") * law + pm.Normal("slope") * t, dims="row")
    >>> known = bc.truth(model, {"b": 1.0, "slope": 0.0}, {"y": month})
    >>> bc.ATE("law", "y").identify(known).method
    'the trend continues'
    """
    question = found.question
    if len(question.treatment) != 1 or len(question.outcome) != 1 or found.method == "observed":
        return found
    [x], [y] = question.treatment, question.outcome
    if y not in structure.random or structure.imputed.get(y):
        return found
    hidden = found.status == "not identified" and found.method == "none"
    if not hidden and found.method not in (FORM, "back door"):
        return found
    values = {n: np.asarray(v) for n, v in data_values(structure.model).items()}
    for name in columns or {}:
        try:
            values[name] = np.asarray((columns or {})[name])
        except DataError:  # rows that stay in their source
            continue
    if hidden:
        return threshold(found, structure, x, y, values, measured)
    found = weighted_donors(two_way(found, structure, x, y, values), structure, x, y, values)
    return at_a_boundary(found, x, y, values, structure) if found.method == FORM else found
