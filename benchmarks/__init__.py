"""Measurements of the package beside its alternatives: ``python -m benchmarks``."""
