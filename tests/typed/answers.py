"""What an editor knows of an answer: read by type checkers, never run (``tests/test_typed.py``)."""

from __future__ import annotations

from typing import TYPE_CHECKING, assert_type

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.axes import Axes

import bayescausal as bc

if TYPE_CHECKING:
    import pymc as pm


def one_question(model: pm.Model, data: pd.DataFrame) -> None:
    fit = bc.fit(model, data, seed=1)
    assert_type(fit, bc.Fit)
    ate = bc.estimate(fit, bc.ATE("x", "y"))
    assert_type(ate, bc.Effect)
    assert_type(ate.mean(), float | xr.DataArray)
    assert_type(ate.sd(), float | xr.DataArray)
    assert_type(ate.interval(), tuple[float, float] | xr.DataArray)
    assert_type(ate.probability(above=0), float | xr.DataArray)
    assert_type(ate.summary(), pd.DataFrame)
    assert_type(ate.sentence(), str)
    assert_type(ate.plot(), Axes)
    assert_type(ate - ate, bc.Effect)
    assert_type(bc.report(fit, ate), bc.Report)


def several_questions(fit: bc.Fit) -> None:
    effects = bc.estimate(fit, [bc.ATE("x", "y"), bc.ATT("x", "y")])
    assert_type(effects[0], bc.Effect)
    assert_type(bc.estimate(fit, effects[0]), bc.Effect)
    assert_type([effect.mean() for effect in effects], list[float | xr.DataArray])


def graphs(model: pm.Model) -> None:
    assert_type(bc.identify("x -> y", "x", "y"), bc.Identification)
    assert_type(bc.identify(model, bc.ATE("x", "y")), bc.Identification)
    assert_type(bc.to_text("x -> y"), str)


def checks(model: pm.Model, fit: bc.Fit) -> None:
    study = bc.recover(model, {"b": 1.0}, bc.ATE("x", "y"), units=100, replicates=20, seed=1)
    assert_type(study, bc.Recovery)
    assert_type(bc.simulate(model, {"b": 1.0}, units=10), pd.DataFrame)
    assert_type(bc.exercise("fork"), bc.Exercise)
    assert_type(bc.robustness_value(fit, bc.ATE("x", "y")), bc.Effect)
    assert_type(bc.robustness_value(2.5, df=100), float)
    assert_type(bc.hdi(np.zeros(10)), xr.DataArray)
