"""Event study.

Effects of a law by the year since it came, with the years before it as a check.
"""

from common import jobs_fit


def figure():
    fit = jobs_fit()
    return fit.design.plots["event_study"](fit).figure
