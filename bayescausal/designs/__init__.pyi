"""The designs, in the order of the guide."""

from .difference_in_differences import difference_in_differences as difference_in_differences
from .panel import panel as panel
from .synthetic_control import synthetic_control as synthetic_control
