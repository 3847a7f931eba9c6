"""Exact posteriors: independent blocks, each by the fastest method that is exact."""
