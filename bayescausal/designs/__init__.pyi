"""The designs, in the order of the guide."""

from .instrument import instrument as instrument
from .mediation import mediation as mediation

__all__: list[str]
