"""Estimators of an effect that do not go through the equations of a model: one file an estimator.

Each file opens with the definition of the estimator, its estimating equation, what has to be right
for it to be consistent, when it fails, and references. :func:`bayescausal.triangulate` asks several
of them the same question.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
