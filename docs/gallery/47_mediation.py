"""Direct and indirect effects.

Total, direct and indirect effect of a treatment that acts through a mediator.
"""

from common import mediation_fit


def figure():
    fit = mediation_fit()
    return fit.design.plots["effects"](fit).figure
