"""The designs, in the order of the guide."""

from .ab_test import ab_test as ab_test
from .instrument import instrument as instrument
from .mediation import mediation as mediation

__all__: list[str]
