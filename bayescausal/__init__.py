"""Bayesian structural causal modelling on plain PyMC models.

The public names stand below in the order of the argument: the graph, the data, the fit, the
intervention, the question, the answer. They are loaded on first use (PEP 562), so that
``import bayescausal`` and questions about graphs cost no PyMC import.

Examples
--------
>>> import bayescausal as bc
>>> bc.Set(1).describe("dilution")
'dilution=1'
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bayescausal import datasets as datasets
    from bayescausal.checks.assurance import assurance as assurance
    from bayescausal.checks.assurance_curve import Assurance as Assurance
    from bayescausal.checks.calibrate import calibrate as calibrate
    from bayescausal.checks.calibrate_verdict import Calibration as Calibration
    from bayescausal.checks.compare import compare as compare
    from bayescausal.checks.compare_record import ModelComparison as ModelComparison
    from bayescausal.checks.falsification import Falsification as Falsification
    from bayescausal.checks.falsify import falsify as falsify
    from bayescausal.checks.overlap import overlap as overlap
    from bayescausal.checks.predictive import posterior_check as posterior_check
    from bayescausal.checks.predictive_prior import prior_check as prior_check
    from bayescausal.checks.recover import recover as recover
    from bayescausal.checks.recovery import Recovery as Recovery
    from bayescausal.checks.refute import refute as refute
    from bayescausal.counterfactuals.predict import abduct as abduct
    from bayescausal.counterfactuals.predict import counterfactual as counterfactual
    from bayescausal.datasets.exercise import Exercise as Exercise
    from bayescausal.datasets.exercises import exercise as exercise
    from bayescausal.draws.intervals import hdi as hdi
    from bayescausal.effects.conditions import Where as Where
    from bayescausal.effects.effect import Effect as Effect
    from bayescausal.effects.estimands import ATE as ATE
    from bayescausal.effects.estimands import ATT as ATT
    from bayescausal.effects.estimands import ATU as ATU
    from bayescausal.effects.estimands import CATE as CATE
    from bayescausal.effects.estimands import CDE as CDE
    from bayescausal.effects.estimands import ITE as ITE
    from bayescausal.effects.estimands import NDE as NDE
    from bayescausal.effects.estimands import NIE as NIE
    from bayescausal.effects.estimands import PN as PN
    from bayescausal.effects.estimands import PNS as PNS
    from bayescausal.effects.estimands import PS as PS
    from bayescausal.effects.estimands import PSE as PSE
    from bayescausal.effects.estimands import QTE as QTE
    from bayescausal.effects.estimands import TE as TE
    from bayescausal.effects.estimands import Association as Association
    from bayescausal.effects.estimands import Contrast as Contrast
    from bayescausal.effects.estimands import DoseResponse as DoseResponse
    from bayescausal.effects.estimands import Estimand as Estimand
    from bayescausal.effects.estimands import Expected as Expected
    from bayescausal.effects.estimands import Slope as Slope
    from bayescausal.effects.estimate import estimate as estimate
    from bayescausal.effects.functionals import Probability as Probability
    from bayescausal.effects.functionals import Quantile as Quantile
    from bayescausal.effects.instrument_bounds import InstrumentBounds as InstrumentBounds
    from bayescausal.effects.instrument_bounds import instrument_bounds as instrument_bounds
    from bayescausal.effects.plug_in import plug_in as plug_in
    from bayescausal.effects.populations import Superpopulation as Superpopulation
    from bayescausal.figures.dose import plot_dose_response as plot_dose_response
    from bayescausal.figures.effects import plot_effect as plot_effect
    from bayescausal.figures.forest import plot_forest as plot_forest
    from bayescausal.figures.worlds import plot_worlds as plot_worlds
    from bayescausal.graph.estimands import identify_effect as identify_effect
    from bayescausal.graph.identification import Identification as Identification
    from bayescausal.graph.parse import parse_graph as parse_graph
    from bayescausal.graph.surgery import explicit_latents as explicit_latents
    from bayescausal.graph.surgery import latent_projection as latent_projection
    from bayescausal.inference.compress import compress as compress
    from bayescausal.inference.fit import fit as fit
    from bayescausal.inference.known import prior as prior
    from bayescausal.inference.known import truth as truth
    from bayescausal.inference.record import Fit as Fit
    from bayescausal.inference.refit import Refitter as Refitter
    from bayescausal.inference.store import load_fit as load_fit
    from bayescausal.model.ask_graph import compare_graphs as compare_graphs
    from bayescausal.model.ask_graph import identify as identify
    from bayescausal.model.ask_graph import implied_independences as implied_independences
    from bayescausal.model.ask_graph import paths as paths
    from bayescausal.model.ask_graph import roles as roles
    from bayescausal.model.formulas.build import model_from_formulas as model_from_formulas
    from bayescausal.model.formulas.priors import prior_summary as prior_summary
    from bayescausal.model.interventions import intervene as intervene
    from bayescausal.model.noise_form import noise_form as noise_form
    from bayescausal.model.source import model_source as model_source
    from bayescausal.model.structure import graph_of as graph_of
    from bayescausal.model.write_graph import to_dagitty as to_dagitty
    from bayescausal.model.write_graph import to_dot as to_dot
    from bayescausal.model.write_graph import to_edges as to_edges
    from bayescausal.model.write_graph import to_formulas as to_formulas
    from bayescausal.model.write_graph import to_gml as to_gml
    from bayescausal.model.write_graph import to_mermaid as to_mermaid
    from bayescausal.model.write_graph import to_text as to_text
    from bayescausal.report.dag import plot_graph as plot_graph
    from bayescausal.report.falsify import plot_falsification as plot_falsification
    from bayescausal.report.falsify import plot_permutations as plot_permutations
    from bayescausal.report.report import Report as Report
    from bayescausal.report.report import report as report
    from bayescausal.report.units import plot_counterfactual as plot_counterfactual
    from bayescausal.report.units import plot_ite as plot_ite
    from bayescausal.sensitivity.hidden import hidden_confounder as hidden_confounder
    from bayescausal.sensitivity.hidden_record import HiddenConfounder as HiddenConfounder
    from bayescausal.sensitivity.prior_posterior import PriorPosterior as PriorPosterior
    from bayescausal.sensitivity.prior_posterior import prior_posterior as prior_posterior
    from bayescausal.sensitivity.prior_sensitivity import prior_sensitivity as prior_sensitivity
    from bayescausal.sensitivity.strength import EValue as EValue
    from bayescausal.sensitivity.strength import e_value as e_value
    from bayescausal.sensitivity.strength import robustness_value as robustness_value
    from bayescausal.simulation.simulate import simulate as simulate
    from bayescausal.types import BayesCausalError as BayesCausalError
    from bayescausal.types import FitWarning as FitWarning
    from bayescausal.types import FormulaWarning as FormulaWarning
    from bayescausal.types import Intervention as Intervention
    from bayescausal.types import Policy as Policy
    from bayescausal.types import Scale as Scale
    from bayescausal.types import Set as Set
    from bayescausal.types import Shift as Shift
    from bayescausal.types import Stochastic as Stochastic
    from bayescausal.worlds.worlds import worlds as worlds

__version__ = "0.1.0"

#: Where each public name lives.
_WHERE: dict[str, str] = {
    # a model without PyMC
    "model_from_formulas": "model.formulas.build",
    "prior_summary": "model.formulas.priors",
    "model_source": "model.source",
    # the graph
    "graph_of": "model.structure",
    "plot_graph": "report.dag",
    "parse_graph": "graph.parse",
    "to_text": "model.write_graph",
    "to_dot": "model.write_graph",
    "to_mermaid": "model.write_graph",
    "to_dagitty": "model.write_graph",
    "to_edges": "model.write_graph",
    "to_gml": "model.write_graph",
    "to_formulas": "model.write_graph",
    # what the arrows say
    "identify": "model.ask_graph",
    "paths": "model.ask_graph",
    "roles": "model.ask_graph",
    "implied_independences": "model.ask_graph",
    "compare_graphs": "model.ask_graph",
    "identify_effect": "graph.estimands",
    "latent_projection": "graph.surgery",
    "explicit_latents": "graph.surgery",
    "Identification": "graph.identification",
    "falsify": "checks.falsify",
    "Falsification": "checks.falsification",
    "plug_in": "effects.plug_in",
    "instrument_bounds": "effects.instrument_bounds",
    "InstrumentBounds": "effects.instrument_bounds",
    "plot_falsification": "report.falsify",
    "plot_permutations": "report.falsify",
    # data from known parameters
    "simulate": "simulation.simulate",
    # data in, posterior out
    "fit": "inference.fit",
    "Refitter": "inference.refit",
    "compress": "inference.compress",
    "load_fit": "inference.store",
    "prior": "inference.known",
    "truth": "inference.known",
    "Fit": "inference.record",
    "FitWarning": "types",
    "FormulaWarning": "types",
    # interventions
    "Set": "types",
    "Shift": "types",
    "Scale": "types",
    "Stochastic": "types",
    "Policy": "types",
    "Intervention": "types",
    "intervene": "model.interventions",
    "noise_form": "model.noise_form",
    "worlds": "worlds.worlds",
    "abduct": "counterfactuals.predict",
    "counterfactual": "counterfactuals.predict",
    # questions
    "Expected": "effects.estimands",
    "Association": "effects.estimands",
    "ATE": "effects.estimands",
    "ATT": "effects.estimands",
    "ATU": "effects.estimands",
    "TE": "effects.estimands",
    "CATE": "effects.estimands",
    "CDE": "effects.estimands",
    "NDE": "effects.estimands",
    "NIE": "effects.estimands",
    "PSE": "effects.estimands",
    "QTE": "effects.estimands",
    "DoseResponse": "effects.estimands",
    "Slope": "effects.estimands",
    "ITE": "effects.estimands",
    "PN": "effects.estimands",
    "PS": "effects.estimands",
    "PNS": "effects.estimands",
    "Contrast": "effects.estimands",
    "Estimand": "effects.estimands",
    "Quantile": "effects.functionals",
    "Probability": "effects.functionals",
    "Superpopulation": "effects.populations",
    "Where": "effects.conditions",
    # answers
    "estimate": "effects.estimate",
    "Effect": "effects.effect",
    "hdi": "draws.intervals",
    "report": "report.report",
    "Report": "report.report",
    "plot_effect": "figures.effects",
    "plot_forest": "figures.forest",
    "plot_dose_response": "figures.dose",
    "plot_worlds": "figures.worlds",
    "plot_counterfactual": "report.units",
    "plot_ite": "report.units",
    # is it right on this problem
    "overlap": "checks.overlap",
    "posterior_check": "checks.predictive",
    "prior_check": "checks.predictive_prior",
    "refute": "checks.refute",
    "compare": "checks.compare",
    "ModelComparison": "checks.compare_record",
    # and if an assumption fails
    "hidden_confounder": "sensitivity.hidden",
    "HiddenConfounder": "sensitivity.hidden_record",
    "robustness_value": "sensitivity.strength",
    "e_value": "sensitivity.strength",
    "EValue": "sensitivity.strength",
    "prior_sensitivity": "sensitivity.prior_sensitivity",
    "prior_posterior": "sensitivity.prior_posterior",
    "PriorPosterior": "sensitivity.prior_posterior",
    # worlds with known answers
    "datasets": "datasets",
    "exercise": "datasets.exercises",
    "Exercise": "datasets.exercise",
    # simulate, then recover
    "recover": "checks.recover",
    "Recovery": "checks.recovery",
    "calibrate": "checks.calibrate",
    "Calibration": "checks.calibrate_verdict",
    "assurance": "checks.assurance",
    "Assurance": "checks.assurance_curve",
    # mistakes
    "BayesCausalError": "types",
}

__all__ = [*_WHERE]


class _Package(ModuleType):
    """The package: where a room and its verb share a name, the name is the verb's."""

    def __setattr__(self, name: str, value: Any) -> None:
        if name in _WHERE and isinstance(value, ModuleType) and _WHERE[name] != name:
            return
        super().__setattr__(name, value)

    def __reduce__(self) -> tuple[Any, ...]:
        # Functions that name the package travel to other processes; a subclass of ModuleType does
        # not by itself.
        return importlib.import_module, (self.__name__,)


sys.modules[__name__].__class__ = _Package


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = importlib.import_module(f"{__name__}.{_WHERE[name]}")
    value = module if _WHERE[name] == name else getattr(module, name)
    setattr(sys.modules[__name__], name, value)
    return value


def __dir__() -> list[str]:
    return sorted(_WHERE)
