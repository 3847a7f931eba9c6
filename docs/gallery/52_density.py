"""Density of the running variable.

How many units lie just below and just above the cutoff: a step would say that units
were moved across it.
"""

from common import income_fit


def figure():
    fit = income_fit()
    return fit.design.plots["density"](fit).figure
