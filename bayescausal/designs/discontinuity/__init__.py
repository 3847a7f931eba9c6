r"""Regression discontinuity: a rule gives the treatment on one side of a cutoff.

.. code-block:: text

    running -> eligible -> treatment -> outcome        sharp: treatment = eligible
    running ---------------------------> outcome       fuzzy: treatment <- U -> outcome

*Estimand.* The average effect of the treatment on units at the cutoff,
:math:`\tau = E[Y(1) - Y(0) \mid R = c]`; in a fuzzy design on those at the cutoff whom eligibility
moves, :math:`E[Y(1) - Y(0) \mid R = c, \text{complier}]`, the ratio of the two jumps [1]_; in a
kink, the change of slope that a policy's kink makes, per unit beyond it [2]_.

*What identifies it.* Continuity: without the treatment the mean outcome would be a continuous
function of the running variable at the cutoff, so that units just below stand for units just above.
No unit at the cutoff is seen under both treatments, so the equation carries each side to it:
straight lines in a bandwidth [3]_, or a Gaussian process on each side.

*How it fails.* Units choose their side (the density jumps), another rule has the same cutoff
(covariates jump), the lines are carried too far (a wide bandwidth, a high polynomial [4]_), few
values of the running variable near the cutoff. A fuzzy design fails, too, where eligibility acts
otherwise than through the treatment, or keeps someone from it who would else take it.

*Weights.* A kernel weight :math:`w` is written as it is in a generative model, noise of standard
deviation :math:`\sigma / \sqrt w`. The mean of the posterior is weighted least squares; its spread
is right if the noise is so. Where noise does not grow away from the cutoff the interval is too
narrow: of a straight line with triangular weights by :math:`1 - \sqrt{3 / 4.8}`, a fifth. The check
``"least_squares"`` has the sandwich standard error beside it, and the uniform kernel, the default,
makes no such claim.

References
----------
.. [1] J. Hahn, P. Todd and W. van der Klaauw, "Identification and estimation of treatment effects
   with a regression-discontinuity design", *Econometrica* 69 (2001), 201-209.
.. [2] D. Card, D. S. Lee, Z. Pei and A. Weber, "Inference on causal effects in a generalized
   regression kink design", *Econometrica* 83 (2015), 2453-2483.
.. [3] G. W. Imbens and T. Lemieux, "Regression discontinuity designs: a guide to practice",
   *Journal of Econometrics* 142 (2008), 615-635.
.. [4] A. Gelman and G. Imbens, "Why high-order polynomials should not be used in regression
   discontinuity designs", *Journal of Business & Economic Statistics* 37 (2019), 447-456.
"""
