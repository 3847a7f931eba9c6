"""The designs, in the order of the guide."""

from .discontinuity.design import regression_discontinuity as regression_discontinuity
from .series.design import interrupted_time_series as interrupted_time_series

__all__: list[str]
