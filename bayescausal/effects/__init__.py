"""The questions and their answers: estimands, what they are made of, and the effect record.

Room 6. An estimand is a value; :mod:`~bayescausal.effects.estimands` lists them all.
"""
