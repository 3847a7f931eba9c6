"""The designs, in the order of the guide."""

from .time_to_event.survival import survival as survival

__all__: list[str]
