"""Averages of the outcome over units and noise, block by block or in closed form."""
