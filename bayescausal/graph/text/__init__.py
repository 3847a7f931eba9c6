"""Graphs read from text and written as text."""
