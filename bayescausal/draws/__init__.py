"""Arithmetic on posterior draws: intervals, summaries, diagnostics, weights, ranks.

Room 1: NumPy, SciPy, xarray and the arithmetic of ArviZ. Nothing here knows what a model is.
"""
