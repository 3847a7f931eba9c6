"""Estimators where hidden common causes are left: instruments and the front door."""
