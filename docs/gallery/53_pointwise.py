"""Effect at each time.

The effect of the intervention on the average of the series, month by month.
"""

from common import accidents_fit


def figure():
    fit = accidents_fit()
    return fit.design.plots["pointwise"](fit).figure
