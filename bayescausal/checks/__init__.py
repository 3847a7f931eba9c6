"""Is it right on this problem? What the arrows claim, held against data.

Room 7. :func:`~bayescausal.checks.falsify.falsify` tests the independences that a graph implies.
:func:`~bayescausal.checks.recover.recover`, :func:`~bayescausal.checks.calibrate.calibrate` and
:func:`~bayescausal.checks.assurance.assurance` simulate, fit and compare with a known truth; what
they share is in :mod:`~bayescausal.checks.study`.

Of one fit: :func:`~bayescausal.checks.overlap.overlap` (could the units have had the other
treatment), :func:`~bayescausal.checks.predictive.posterior_check` and
:func:`~bayescausal.checks.predictive_prior.prior_check` (does each equation predict its variable),
:func:`~bayescausal.checks.refute.refute` (data changed so that the right answer is known), and of
several, :func:`~bayescausal.checks.compare.compare`.
"""
