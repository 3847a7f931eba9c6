"""Estimators that model the outcome."""
