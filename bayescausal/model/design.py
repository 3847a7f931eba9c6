"""A study design: a structural model, its data, and the assumption that identifies its effect.

A design (a trial, an instrument, differences in differences, ...) is a directed acyclic graph in
which one assumption beyond the graph makes an effect identified: randomisation, exclusion, parallel
trends, continuity at a cutoff. Written as a generative model, every question that can be asked of a
model can be asked of a design: simulation, recovery, counterfactuals, sensitivity [1]_.

The record stands here, below inference, so that whatever takes a model takes a design. The designs
themselves are written in :mod:`bayescausal.designs`.

References
----------
.. [1] G. W. Imbens and D. B. Rubin, *Causal Inference for Statistics, Social, and Biomedical
   Sciences*, Cambridge University Press, 2015.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from bayescausal.model.design_html import as_html
from bayescausal.model.given import keep_columns

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import pandas as pd
    import pymc as pm

    from bayescausal.annotations import Data

__all__ = ["Assumption", "Design"]


@dataclass(frozen=True)
class Assumption:
    """What has to be true for the effect of a design to be identified, and what speaks to it.

    Attributes
    ----------
    name : str
        The literature's term, such as ``"parallel trends"``.
    text : str
        The assumption in words, in terms of the variables of the study.
    check : str
        What speaks to it: the name of one of the design's checks, or a call such as
        ``"bc.hidden_confounder"``. Empty where no data can speak to it.
    """

    name: str
    text: str
    check: str = ""


@dataclass(frozen=True, eq=False)
class Design:
    """A study design as a structural model.

    Attributes
    ----------
    name : str
        The design, as its function in ``bayescausal.designs`` is called.
    model : pm.Model
        A plain generative model, which may be changed like any other; its code is shown by
        :func:`bayescausal.model_source`.
    data : Data
        The columns that the model is conditioned on.
    effects : Mapping of str to Estimand
        The questions of the design, for :func:`bayescausal.estimate`.
    assumptions : tuple of Assumption
        What identifies the effects.
    checks : Mapping of str to callable
        Each takes the fit and returns a table.
    plots : Mapping of str to callable
        Each takes the fit, and optionally the axes to draw on (`ax`), and returns the axes.
    """

    name: str
    model: pm.Model
    data: Data
    effects: Mapping[str, Any]
    assumptions: tuple[Assumption, ...] = ()
    checks: Mapping[str, Callable[..., pd.DataFrame]] = field(default_factory=dict)
    plots: Mapping[str, Callable[..., object]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("effects", "checks", "plots"):
            object.__setattr__(self, name, MappingProxyType(dict(getattr(self, name))))
        if hasattr(self.model, "free_RVs") and hasattr(self.data, "__iter__"):
            keep_columns(self.model, self.data)

    def __reduce__(self) -> tuple[object, ...]:
        effects, checks, plots = dict(self.effects), dict(self.checks), dict(self.plots)
        parts = (self.name, self.model, self.data, effects, self.assumptions, checks, plots)
        return Design, parts

    def __repr__(self) -> str:
        lines = [f"Design({self.name}; effects: {', '.join(self.effects)})"]
        lines += [f"  {a.name}: {a.text}" for a in self.assumptions]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        return as_html(self)
