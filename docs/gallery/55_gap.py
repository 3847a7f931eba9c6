"""Gap to the synthetic control.

The treated state less its synthetic one, before and after the treatment.
"""

from common import packs_fit


def figure():
    fit = packs_fit()
    return fit.design.plots["gap"](fit).figure
