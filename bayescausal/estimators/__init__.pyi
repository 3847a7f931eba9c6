"""The estimators, from the simplest on."""

# what an estimator is
from .estimator import Estimator as Estimator
from .estimator import EstimatorWarning as EstimatorWarning

# models of outcome and treatment
from .nuisance.propensity import Logistic as Logistic

# the outcome is modelled
from .outcome_models.regression import Regression as Regression
from .outcome_models.standardization import Standardization as Standardization
from .outcome_models.stratified import Stratified as Stratified
from .triangulation import Triangulation as Triangulation

# the treatment is modelled
from .weighting.ipw import IPW as IPW

__all__: list[str]
