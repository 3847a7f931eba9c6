"""The estimators, from the simplest on."""

# what an estimator is
# both are modelled, and one has to be right
# what is chosen before
from .choosing.nuisances import nuisance_scores as nuisance_scores
from .choosing.pseudo import pseudo_outcomes as pseudo_outcomes
from .choosing.screening import screen as screen
from .doubly_robust.aipw import AIPW as AIPW
from .doubly_robust.tmle import TMLE as TMLE
from .estimator import Estimator as Estimator
from .estimator import EstimatorWarning as EstimatorWarning

# effects as functions of covariates
from .learners.bayesian_causal_forest import BCF as BCF
from .learners.causal_forest import CausalForest as CausalForest
from .learners.domain_adaptation import DomainAdaptation as DomainAdaptation
from .learners.double_machine_learning import DML as DML
from .learners.dr_learner import DRLearner as DRLearner
from .learners.r_learner import RLearner as RLearner
from .learners.s_learner import SLearner as SLearner
from .learners.t_learner import TLearner as TLearner
from .learners.x_learner import XLearner as XLearner
from .matching.matching import Matching as Matching

# models of outcome and treatment
from .nuisance.propensity import Logistic as Logistic

# the outcome is modelled
from .outcome_models.regression import Regression as Regression
from .outcome_models.standardization import Standardization as Standardization
from .outcome_models.stratified import Stratified as Stratified
from .triangulation import Triangulation as Triangulation

# the treatment is modelled
from .weighting.ipw import IPW as IPW
from .weighting.stratification import Stratification as Stratification
from .without_back_door.front_door import FrontDoor as FrontDoor

# common causes are left unmeasured
from .without_back_door.two_stage import TwoStageLeastSquares as TwoStageLeastSquares

__all__: list[str]
