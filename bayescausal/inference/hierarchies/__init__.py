"""Coefficients integrated out of hierarchies, curves and shrinkage, whatever the scales are."""
