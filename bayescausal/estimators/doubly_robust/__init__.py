"""Estimators that model both and need one of them right."""
