"""The record that every dataset returns.

An example is a question with its answer: the model says how the data came about, `answers`
says what a right analysis finds. Where the answer is known because the world was simulated,
the parameters are in `truth`. Where it is known because the table is published, the rows are
in `data`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    import pandas as pd
    import pymc as pm

__all__ = ["Example"]


@dataclass(frozen=True, eq=False)
class Example:
    """A model with what is known about it.

    Parameters
    ----------
    name : str
        Short name.
    model : pymc.Model
        The structural model, conditioned on nothing.
    treatment, outcome : str
        The two variables the question is about.
    answers : mapping of str to float
        What a right analysis finds, by name.
    truth : mapping of str to float, optional
        The parameters the world has, where it is simulated.
    data : pandas.DataFrame, optional
        One row per unit, where the data are published.
    source : str
        Where the numbers come from.

    Examples
    --------
    >>> from bayescausal import datasets
    >>> datasets.coating().answers["ATE"]
    -0.421
    """

    name: str
    model: pm.Model
    treatment: str
    outcome: str
    answers: Mapping[str, float]
    truth: Mapping[str, float] | None = None
    data: pd.DataFrame | None = None
    source: str = field(default="")

    def __post_init__(self) -> None:
        object.__setattr__(self, "answers", MappingProxyType(dict(self.answers)))
        if self.truth is not None:
            object.__setattr__(self, "truth", MappingProxyType(dict(self.truth)))

    def __repr__(self) -> str:
        rows = "simulated" if self.data is None else f"{len(self.data)} rows"
        return f"Example {self.name}: {self.treatment} -> {self.outcome}, {rows}"
