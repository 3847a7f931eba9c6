"""The designs, in the order of the guide."""

from .time_to_event.survival import survival as survival
from .trial_emulation.target_trial import target_trial as target_trial

__all__: list[str]
