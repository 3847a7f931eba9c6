"""The designs, in the order of the guide."""

from .differences.difference_in_differences import (
    difference_in_differences as difference_in_differences,
)
from .discontinuity.regression_discontinuity import (
    regression_discontinuity as regression_discontinuity,
)
from .instrumental.instrument import instrument as instrument
from .mediated.mediation import mediation as mediation
from .randomised.ab_test import ab_test as ab_test
from .sequences.panel import panel as panel
from .series.interrupted_time_series import interrupted_time_series as interrupted_time_series
from .synthetic.synthetic_control import synthetic_control as synthetic_control
from .time_to_event.survival import survival as survival
from .trial_emulation.target_trial import target_trial as target_trial

__all__: list[str]
