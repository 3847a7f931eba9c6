"""Counterfactuals: abduct, act, predict."""
