"""The estimators, from the simplest on."""

__all__: list[str]
