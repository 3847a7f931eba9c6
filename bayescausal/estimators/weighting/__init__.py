"""Estimators that model the treatment."""
