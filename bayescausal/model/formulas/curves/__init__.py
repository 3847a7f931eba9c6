"""Curves in formulas: read, and added to a model."""
