"""Interrupted time series.

What came, and what would have come without the intervention.
"""

from common import accidents_fit


def figure():
    fit = accidents_fit()
    return fit.design.plots["series"](fit).figure
