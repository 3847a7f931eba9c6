"""Study designs as structural models: one file a design.

Each file opens with the graph of the design, its estimand, the assumption that identifies it and
how it fails. Each function reads a table in the form people have it and returns a
:class:`~bayescausal.model.design.Design`.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
