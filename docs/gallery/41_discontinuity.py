"""Regression discontinuity.

The outcome on both sides of a cutoff, and the jump at it.
"""

from common import income_fit


def figure():
    fit = income_fit()
    return fit.design.plots["discontinuity"](fit).figure
