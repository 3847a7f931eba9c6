"""Worlds with known answers, to learn on and to test against.

Each dataset is a function without required arguments that returns an :class:`Example`: a
PyMC model, its data or its true parameters, and the numbers a right analysis must find.

==========================  ====================================================
:func:`coating`             simulated: a confounded continuous outcome
:func:`kidney_stones`       700 patients (1986): Simpson's paradox
==========================  ====================================================
"""

from __future__ import annotations

from bayescausal.datasets.coating import coating
from bayescausal.datasets.example import Example
from bayescausal.datasets.kidney_stones import kidney_stones

__all__ = ["Example", "coating", "kidney_stones"]
