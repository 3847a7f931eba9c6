"""Answers from data and a graph alone, without a fitted model."""
