"""What all processes of the suite share.

The suite starts some hundred processes (workers, notebooks, commands). Where bytecode is not to be
written beside the sources, each would compile every library anew, for seconds; a folder of its own
serves them all.
"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

if os.environ.pop("PYTHONDONTWRITEBYTECODE", None):
    folder = Path(tempfile.gettempdir()) / f"bayescausal-bytecode-{os.getuid()}"
    os.environ.setdefault("PYTHONPYCACHEPREFIX", str(folder))
