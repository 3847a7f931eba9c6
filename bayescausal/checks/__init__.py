"""Is it right on this problem? What the arrows claim, held against data.

Room 7. :func:`~bayescausal.checks.falsify.falsify` tests the independences that a graph implies.
"""
