"""Panels: treatments over time."""
