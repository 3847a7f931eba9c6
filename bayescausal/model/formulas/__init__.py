"""Models from formulas: one regression formula for each variable gives a plain ``pm.Model``."""
