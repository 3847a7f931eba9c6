"""Times to an event: the design, its table, families, checks and pictures.

==================  =============================================================
``survival``        the design: graph, estimands, what identifies them
``records``         reads the table
``families``        the distributions, and what a coefficient means in each
``distributions``   those that PyMC does not have
``model``           the regression of the time and what is recorded of it
``windows``         intervals, late entry
``questions``       effects and assumptions
``nonparametric``   Kaplan-Meier, Cox
``checks``          tables that speak to the assumptions
``plots``           curves under do, steps of Kaplan-Meier
==================  =============================================================
"""
