"""The public names, in the order of the argument: the one place where they stand."""

# ruff: noqa: I001

# a model without PyMC
from .model.formulas.build import model_from_formulas as model_from_formulas
from .model.formulas.priors import prior_summary as prior_summary
from .model.source.code import model_source as model_source

# the graph
from .model.structure.read import graph_of as graph_of
from .reporting.drawn.dag import plot_graph as plot_graph
from .reporting.editor.edit_graph import edit_graph as edit_graph
from .graph.text.parse import parse_graph as parse_graph
from .model.graph_queries.export import to_text as to_text
from .model.graph_queries.export import to_dot as to_dot
from .model.graph_queries.export import to_mermaid as to_mermaid
from .model.graph_queries.export import to_dagitty as to_dagitty
from .model.graph_queries.export import to_edges as to_edges
from .model.graph_queries.export import to_gml as to_gml
from .model.graph_queries.export import to_formulas as to_formulas

# what the arrows say
from .model.graph_queries.queries import identify as identify
from .model.graph_queries.queries import paths as paths
from .model.graph_queries.queries import roles as roles
from .model.graph_queries.queries import implied_independences as implied_independences
from .model.graph_queries.queries import compare_graphs as compare_graphs
from .graph.identification.estimands import identify_effect as identify_effect
from .graph.structure.surgery import latent_projection as latent_projection
from .graph.structure.surgery import explicit_latents as explicit_latents
from .graph.identification.verdict import Identification as Identification
from .checks.falsification.falsify import falsify as falsify
from .checks.falsification.record import Falsification as Falsification
from .effects.without_model.plug_in import plug_in as plug_in
from .effects.without_model.instrument_bounds import instrument_bounds as instrument_bounds
from .effects.without_model.instrument_bounds import InstrumentBounds as InstrumentBounds
from .reporting.falsify import plot_falsification as plot_falsification
from .reporting.falsify import plot_permutations as plot_permutations

# data from known parameters
from .simulation.simulate import simulate as simulate

# data in, posterior out
from .inference.fit import fit as fit
from .inference.sampling.refit import Refitter as Refitter
from .inference.closed_forms.compress import compress as compress
from .inference.store import load_fit as load_fit
from .inference.sampling.prior_and_truth import prior as prior
from .inference.sampling.prior_and_truth import truth as truth
from .inference.record import Fit as Fit
from .types import FitWarning as FitWarning
from .types import FormulaWarning as FormulaWarning

# interventions
from .types import Set as Set
from .types import Shift as Shift
from .types import Scale as Scale
from .types import Stochastic as Stochastic
from .types import Policy as Policy
from .types import Intervention as Intervention
from .model.interventions.interventions import intervene as intervene
from .model.noise.noise_form import noise_form as noise_form
from .evaluation.worlds import worlds as worlds
from .counterfactuals.predict import abduct as abduct
from .counterfactuals.predict import counterfactual as counterfactual

# questions
from .effects.estimands import Expected as Expected
from .effects.estimands import Association as Association
from .effects.estimands import ATE as ATE
from .effects.estimands import ATO as ATO
from .effects.estimands import ATT as ATT
from .effects.estimands import ATU as ATU
from .effects.estimands import TE as TE
from .effects.estimands import CATE as CATE
from .effects.estimands import CDE as CDE
from .effects.estimands import NDE as NDE
from .effects.estimands import NIE as NIE
from .effects.estimands import PSE as PSE
from .effects.estimands import QTE as QTE
from .effects.estimands import DoseResponse as DoseResponse
from .effects.estimands import Slope as Slope
from .effects.estimands import ITE as ITE
from .effects.estimands import PN as PN
from .effects.estimands import PS as PS
from .effects.estimands import PNS as PNS
from .effects.estimands import Contrast as Contrast
from .effects.estimands import Estimand as Estimand
from .effects.estimands.functionals import Quantile as Quantile
from .effects.estimands.functionals import Probability as Probability
from .effects.estimands.functionals import Total as Total
from .effects.averaging.time_functionals import CumulativeIncidence as CumulativeIncidence
from .effects.averaging.time_functionals import RestrictedMean as RestrictedMean
from .effects.averaging.time_functionals import Survival as Survival
from .effects.estimands.populations import Superpopulation as Superpopulation
from .effects.estimands.conditions import Where as Where

# answers
from .effects.estimate import estimate as estimate
from .effects.effect import Effect as Effect
from .draws.intervals import hdi as hdi
from .reporting.report import report as report
from .reporting.report import Report as Report
from .figures.effects import plot_effect as plot_effect
from .figures.forest import plot_forest as plot_forest
from .figures.dose import plot_dose_response as plot_dose_response
from .figures.worlds import plot_worlds as plot_worlds
from .reporting.drawn.units import plot_counterfactual as plot_counterfactual
from .reporting.drawn.units import plot_ite as plot_ite

# checks
from .checks.overlap.positivity import overlap as overlap
from .checks.predictive.posterior import posterior_check as posterior_check
from .checks.predictive.prior import prior_check as prior_check
from .checks.refutation.refute import refute as refute
from .checks.comparison.compare import compare as compare
from .checks.comparison.comparison import ModelComparison as ModelComparison

# sensitivity analysis
from .sensitivity.confounding.hidden import hidden_confounder as hidden_confounder
from .sensitivity.confounding.hidden_record import HiddenConfounder as HiddenConfounder
from .sensitivity.confounding.robustness import robustness_value as robustness_value
from .sensitivity.confounding.evalues import e_value as e_value
from .sensitivity.confounding.evalues import EValue as EValue
from .sensitivity.priors.prior_sensitivity import prior_sensitivity as prior_sensitivity
from .sensitivity.priors.prior_posterior import prior_posterior as prior_posterior
from .sensitivity.priors.prior_posterior import PriorPosterior as PriorPosterior

# effects that differ between units
from .conditional_effects.heterogeneity import heterogeneity as heterogeneity
from .conditional_effects.heterogeneity import Heterogeneity as Heterogeneity
from .conditional_effects.policy import policy as policy
from .conditional_effects.policy import TreatmentRule as TreatmentRule

# other estimators of the same effect
from . import estimators as estimators
from .estimators.triangulate import triangulate as triangulate

# study designs as structural models
from . import designs as designs
from .model.design import Design as Design
from .model.design import Assumption as Assumption

# data with known answers, and exercises
from . import datasets as datasets
from .datasets.exercises import exercise as exercise
from .datasets.exercise import Exercise as Exercise
from .datasets.teaching.taught import make_exercise as make_exercise
from .datasets.teaching.loaded import load_exercise as load_exercise

# simulate, then recover
from .checks.studies.recover import recover as recover
from .checks.studies.recovery import Recovery as Recovery
from .checks.studies.calibrate import calibrate as calibrate
from .checks.studies.calibrate_verdict import Calibration as Calibration
from .checks.studies.assurance import assurance as assurance
from .checks.studies.assurance_curve import Assurance as Assurance

# exceptions
from .types import BayesCausalError as BayesCausalError

__version__: str
__all__: list[str]
