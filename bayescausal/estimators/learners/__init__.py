"""Learners of conditional effects: what differs is how a model of the effect is made of others."""
