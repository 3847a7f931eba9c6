"""Interventions: parse, check, apply."""
