"""Bandwidths of a discontinuity.

The jump at the cutoff by how far from it units are used.
"""

from common import income_fit


def figure():
    fit = income_fit()
    return fit.design.plots["bandwidths"](fit).figure
