"""Trends of groups.

The averages of the groups that got the law in the same year, and of those without it.
"""

from common import jobs_fit


def figure():
    fit = jobs_fit()
    return fit.design.plots["trends"](fit).figure
