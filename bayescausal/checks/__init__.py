"""Is it right on this problem? What the arrows claim, held against data.

Room 7. :func:`~bayescausal.checks.falsify.falsify` tests the independences that a graph implies.
:func:`~bayescausal.checks.recover.recover`, :func:`~bayescausal.checks.calibrate.calibrate` and
:func:`~bayescausal.checks.assurance.assurance` simulate, fit and compare with a known truth; what
they share is in :mod:`~bayescausal.checks.study`.
"""
