"""The designs, in the order of the guide."""

from .difference_in_differences import difference_in_differences as difference_in_differences
from .discontinuity.design import regression_discontinuity as regression_discontinuity
from .instrument import instrument as instrument
from .mediation import mediation as mediation
from .panel import panel as panel
from .series.design import interrupted_time_series as interrupted_time_series
from .synthetic_control import synthetic_control as synthetic_control
from .time_to_event.survival import survival as survival

__all__: list[str]
