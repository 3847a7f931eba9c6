"""The designs, in the order of the guide."""

from .discontinuity.design import regression_discontinuity as regression_discontinuity

__all__: list[str]
