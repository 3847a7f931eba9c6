"""The model conditioned on data: its density and its factors."""
