"""Arithmetic on posterior draws: intervals, summaries, diagnostics, weights, ranks.

Room 1: NumPy and xarray only. Nothing here knows what a model is.
"""
