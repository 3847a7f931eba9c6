"""Draws from densities of a few unknowns that can be evaluated at many points at once."""
