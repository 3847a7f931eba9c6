"""Censored times: their likelihood in one pass over the rows, and draws about its mode.

================  ===============================================================
``term``          which equations have the form, and what takes the place of their rows
``kernels``       the log-likelihood and its derivatives, compiled
``independence``  exact draws from a smooth density of few unknowns
================  ===============================================================
"""
