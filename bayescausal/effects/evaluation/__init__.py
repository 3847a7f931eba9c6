"""From an estimand and a fit to draws of a number."""
