"""Sum of the effects.

The effects at each time added up since the intervention.
"""

from common import accidents_fit


def figure():
    fit = accidents_fit()
    return fit.design.plots["cumulative"](fit).figure
