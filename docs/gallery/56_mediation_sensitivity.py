"""Sensitivity of a mediation analysis.

The indirect effect along the correlation that an unmeasured common cause of mediator
and outcome would leave between their errors.
"""

from common import mediation_fit


def figure():
    fit = mediation_fit()
    return fit.design.plots["sensitivity"](fit).figure
