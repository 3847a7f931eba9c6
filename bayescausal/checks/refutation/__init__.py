"""Attempts to refute an answer."""
