"""Bayesian structural causal modelling on plain PyMC models.

The public names stand in ``__init__.pyi`` in the order of the argument: the graph, the data, the
fit, the intervention, the question, the answer. They are loaded on first use (PEP 562), so that
``import bayescausal`` and questions about graphs cost no PyMC import.

Examples
--------
>>> import bayescausal as bc
>>> bc.Set(1).describe("dilution")
'dilution=1'
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)

__version__ = "0.2.0"
