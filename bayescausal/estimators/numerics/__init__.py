"""Weighted regressions of many draws at once, and the weights they share."""
