"""Estimators that compare each unit with others like it."""
