"""Differences in differences."""
