"""The designs, in the order of the guide."""

from .ab_test import ab_test as ab_test
from .instrument import instrument as instrument
from .mediation import mediation as mediation
from .time_to_event.survival import survival as survival
from .trial_emulation.target_trial import target_trial as target_trial

__all__: list[str]
