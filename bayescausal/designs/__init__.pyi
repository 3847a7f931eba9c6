"""The designs, in the order of the guide."""

from .instrument import instrument as instrument

__all__: list[str]
