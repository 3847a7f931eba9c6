"""Randomised experiments."""
