r"""Interrupted time series: something begins at one time, for everyone.

.. code-block:: text

    time -> intervention -> outcome
    time, season, controls, level -> outcome        level: what the series carries on, unseen

*Estimand.* The effect on the times that were treated, :math:`E[Y_t(1) - Y_t(0)]` for each
:math:`t \ge t_0`, its average over them and its sum.

*What identifies it.* The series would have gone on as before: trend, season, the law of its level
and what controls say of it are the same after the start as before. No time is seen under both
treatments and there is no other series, so the verdict is that the answer rests on the form of the
equation. Controls make it weaker, if the intervention does not change them.

*Two readings.* Terms in the equation, a change of level and of slope [1]_: all times say what the
trend is, and the effect has the form of a line. Or a prediction: the model learns from the times
before and predicts those after, and the effect is what was observed less what was predicted [2]_.
The second is the first with an effect of each time of its own that nothing is known about, and that
is how it is written: one coefficient for each time after the start, with a wide prior, so that
these times say nothing of the series as it would have been.

*How it fails.* Something else happened at the same time, the series was about to turn anyway, the
outcome is measured otherwise from then on, people acted before the start, controls react. Errors
that correlate make intervals from independent ones too narrow.

References
----------
.. [1] A. K. Wagner, S. B. Soumerai, F. Zhang and D. Ross-Degnan, "Segmented regression analysis of
   interrupted time series studies in medication use research", *Journal of Clinical Pharmacy and
   Therapeutics* 27 (2002), 299-309.
.. [2] K. H. Brodersen, F. Gallusser, J. Koehler, N. Remy and S. L. Scott, "Inferring causal impact
   using Bayesian structural time-series models", *Annals of Applied Statistics* 9 (2015), 247-274.
"""
