"""Data with known answers, to learn on and to test against.

Each dataset is a function without required arguments that returns an :class:`Example`: a
PyMC model, its data or its true parameters, and the numbers a right analysis must find;
:func:`job_training` returns a table, whose right answer an experiment gave, and :func:`load`
any of the published tables that come with the package (:func:`describe` says what they are).

==========================  ====================================================
:func:`coating`             simulated: a confounded continuous outcome
:func:`kidney_stones`       700 patients (1986): Simpson's paradox
:func:`job_training`        614 men (1978): an observational study beside an experiment
:func:`load`                published tables by name: ``"nhefs"``, ``"lalonde"``, ...
:func:`describe`            their sources, licences and columns
==========================  ====================================================
"""

from __future__ import annotations

from bayescausal.datasets.coating import coating
from bayescausal.datasets.example import Example
from bayescausal.datasets.job_training import job_training
from bayescausal.datasets.kidney_stones import kidney_stones
from bayescausal.datasets.shipped import TableDescription, describe, load

__all__ = [
    "Example",
    "TableDescription",
    "coating",
    "describe",
    "job_training",
    "kidney_stones",
    "load",
]
