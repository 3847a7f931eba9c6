"""Figures of graphs and of units."""
