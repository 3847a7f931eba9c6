"""Synthetic control.

One treated state beside the weighted average of others that follows it before the
treatment.
"""

from common import packs_fit


def figure():
    fit = packs_fit()
    return fit.design.plots["paths"](fit).figure
