"""Evaluating one model in several worlds with one shared noise."""
