"""The designs, in the order of the guide."""

__all__: list[str]
