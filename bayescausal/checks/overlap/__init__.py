"""Positivity, balance and support."""
