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
    from bayescausal.checks.comparison.compare import compare as compare
    from bayescausal.checks.comparison.comparison import ModelComparison as ModelComparison
    from bayescausal.checks.falsification.falsify import falsify as falsify
    from bayescausal.checks.falsification.record import Falsification as Falsification
    from bayescausal.checks.overlap.positivity import overlap as overlap
    from bayescausal.checks.predictive.posterior import posterior_check as posterior_check
    from bayescausal.checks.predictive.prior import prior_check as prior_check
    from bayescausal.checks.refutation.refute import refute as refute
    from bayescausal.checks.studies.assurance import assurance as assurance
    from bayescausal.checks.studies.assurance_curve import Assurance as Assurance
    from bayescausal.checks.studies.calibrate import calibrate as calibrate
    from bayescausal.checks.studies.calibrate_verdict import Calibration as Calibration
    from bayescausal.checks.studies.recover import recover as recover
    from bayescausal.checks.studies.recovery import Recovery as Recovery
    from bayescausal.counterfactuals.predict import abduct as abduct
    from bayescausal.counterfactuals.predict import counterfactual as counterfactual
    from bayescausal.datasets.exercise import Exercise as Exercise
    from bayescausal.datasets.exercises import exercise as exercise
    from bayescausal.draws.intervals import hdi as hdi
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
    from bayescausal.effects.estimands.conditions import Where as Where
    from bayescausal.effects.estimands.functionals import Probability as Probability
    from bayescausal.effects.estimands.functionals import Quantile as Quantile
    from bayescausal.effects.estimands.populations import Superpopulation as Superpopulation
    from bayescausal.effects.estimate import estimate as estimate
    from bayescausal.effects.without_model.instrument_bounds import (
        InstrumentBounds as InstrumentBounds,
    )
    from bayescausal.effects.without_model.instrument_bounds import (
        instrument_bounds as instrument_bounds,
    )
    from bayescausal.effects.without_model.plug_in import plug_in as plug_in
    from bayescausal.evaluation.worlds import worlds as worlds
    from bayescausal.figures.dose import plot_dose_response as plot_dose_response
    from bayescausal.figures.effects import plot_effect as plot_effect
    from bayescausal.figures.forest import plot_forest as plot_forest
    from bayescausal.figures.worlds import plot_worlds as plot_worlds
    from bayescausal.graph.identification.estimands import identify_effect as identify_effect
    from bayescausal.graph.identification.verdict import Identification as Identification
    from bayescausal.graph.structure.surgery import explicit_latents as explicit_latents
    from bayescausal.graph.structure.surgery import latent_projection as latent_projection
    from bayescausal.graph.text.parse import parse_graph as parse_graph
    from bayescausal.inference.closed_forms.compress import compress as compress
    from bayescausal.inference.fit import fit as fit
    from bayescausal.inference.record import Fit as Fit
    from bayescausal.inference.sampling.prior_and_truth import prior as prior
    from bayescausal.inference.sampling.prior_and_truth import truth as truth
    from bayescausal.inference.sampling.refit import Refitter as Refitter
    from bayescausal.inference.store import load_fit as load_fit
    from bayescausal.model.formulas.build import model_from_formulas as model_from_formulas
    from bayescausal.model.formulas.priors import prior_summary as prior_summary
    from bayescausal.model.interventions.interventions import intervene as intervene
    from bayescausal.model.noise.noise_form import noise_form as noise_form
    from bayescausal.model.source.code import model_source as model_source
    from bayescausal.model.structure.graph_export import to_dagitty as to_dagitty
    from bayescausal.model.structure.graph_export import to_dot as to_dot
    from bayescausal.model.structure.graph_export import to_edges as to_edges
    from bayescausal.model.structure.graph_export import to_formulas as to_formulas
    from bayescausal.model.structure.graph_export import to_gml as to_gml
    from bayescausal.model.structure.graph_export import to_mermaid as to_mermaid
    from bayescausal.model.structure.graph_export import to_text as to_text
    from bayescausal.model.structure.graph_queries import compare_graphs as compare_graphs
    from bayescausal.model.structure.graph_queries import identify as identify
    from bayescausal.model.structure.graph_queries import (
        implied_independences as implied_independences,
    )
    from bayescausal.model.structure.graph_queries import paths as paths
    from bayescausal.model.structure.graph_queries import roles as roles
    from bayescausal.model.structure.structure import graph_of as graph_of
    from bayescausal.reporting.dag import plot_graph as plot_graph
    from bayescausal.reporting.falsify import plot_falsification as plot_falsification
    from bayescausal.reporting.falsify import plot_permutations as plot_permutations
    from bayescausal.reporting.report import Report as Report
    from bayescausal.reporting.report import report as report
    from bayescausal.reporting.units import plot_counterfactual as plot_counterfactual
    from bayescausal.reporting.units import plot_ite as plot_ite
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

__version__ = "0.1.0"

#: Where each public name lives.
_WHERE: dict[str, str] = {
    # a model without PyMC
    "model_from_formulas": "model.formulas.build",
    "prior_summary": "model.formulas.priors",
    "model_source": "model.source.code",
    # the graph
    "graph_of": "model.structure.structure",
    "plot_graph": "reporting.dag",
    "parse_graph": "graph.text.parse",
    "to_text": "model.structure.graph_export",
    "to_dot": "model.structure.graph_export",
    "to_mermaid": "model.structure.graph_export",
    "to_dagitty": "model.structure.graph_export",
    "to_edges": "model.structure.graph_export",
    "to_gml": "model.structure.graph_export",
    "to_formulas": "model.structure.graph_export",
    # what the arrows say
    "identify": "model.structure.graph_queries",
    "paths": "model.structure.graph_queries",
    "roles": "model.structure.graph_queries",
    "implied_independences": "model.structure.graph_queries",
    "compare_graphs": "model.structure.graph_queries",
    "identify_effect": "graph.identification.estimands",
    "latent_projection": "graph.structure.surgery",
    "explicit_latents": "graph.structure.surgery",
    "Identification": "graph.identification.verdict",
    "falsify": "checks.falsification.falsify",
    "Falsification": "checks.falsification.record",
    "plug_in": "effects.without_model.plug_in",
    "instrument_bounds": "effects.without_model.instrument_bounds",
    "InstrumentBounds": "effects.without_model.instrument_bounds",
    "plot_falsification": "reporting.falsify",
    "plot_permutations": "reporting.falsify",
    # data from known parameters
    "simulate": "simulation.simulate",
    # data in, posterior out
    "fit": "inference.fit",
    "Refitter": "inference.sampling.refit",
    "compress": "inference.closed_forms.compress",
    "load_fit": "inference.store",
    "prior": "inference.sampling.prior_and_truth",
    "truth": "inference.sampling.prior_and_truth",
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
    "intervene": "model.interventions.interventions",
    "noise_form": "model.noise.noise_form",
    "worlds": "evaluation.worlds",
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
    "Quantile": "effects.estimands.functionals",
    "Probability": "effects.estimands.functionals",
    "Superpopulation": "effects.estimands.populations",
    "Where": "effects.estimands.conditions",
    # answers
    "estimate": "effects.estimate",
    "Effect": "effects.effect",
    "hdi": "draws.intervals",
    "report": "reporting.report",
    "Report": "reporting.report",
    "plot_effect": "figures.effects",
    "plot_forest": "figures.forest",
    "plot_dose_response": "figures.dose",
    "plot_worlds": "figures.worlds",
    "plot_counterfactual": "reporting.units",
    "plot_ite": "reporting.units",
    # is it right on this problem
    "overlap": "checks.overlap.positivity",
    "posterior_check": "checks.predictive.posterior",
    "prior_check": "checks.predictive.prior",
    "refute": "checks.refutation.refute",
    "compare": "checks.comparison.compare",
    "ModelComparison": "checks.comparison.comparison",
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
    "recover": "checks.studies.recover",
    "Recovery": "checks.studies.recovery",
    "calibrate": "checks.studies.calibrate",
    "Calibration": "checks.studies.calibrate_verdict",
    "assurance": "checks.studies.assurance",
    "Assurance": "checks.studies.assurance_curve",
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
