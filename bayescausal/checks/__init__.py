"""Checks: known truths recovered, overlap, fit, refutation, and the claims of the graph.

Room 7. :func:`~bayescausal.checks.falsification.falsify.falsify` tests the independences that a
graph implies. :func:`~bayescausal.checks.studies.recover.recover`,
:func:`~bayescausal.checks.studies.calibrate.calibrate` and
:func:`~bayescausal.checks.studies.assurance.assurance` simulate, fit and compare with a known
truth; what they share is in :mod:`~bayescausal.checks.studies`.

Of one fit: :func:`~bayescausal.checks.overlap.positivity.overlap` (could the units have had the
other treatment), :func:`~bayescausal.checks.predictive.posterior.posterior_check` and
:func:`~bayescausal.checks.predictive.prior.prior_check` (does each equation predict its variable),
:func:`~bayescausal.checks.refutation.refute.refute` (data changed so that the right answer is
known), and of several, :func:`~bayescausal.checks.comparison.compare.compare`.
"""
