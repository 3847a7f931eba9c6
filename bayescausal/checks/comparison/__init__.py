"""Rival models of the same data."""
