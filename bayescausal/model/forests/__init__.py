"""Sums of trees as equations: a forest is a parameter, its value at the parents an expression."""
