"""A model from a file: ``file.py:name``, or formulas in ``file.txt``.

A file that ends in ``.txt`` or ``.formulas`` holds one formula on each line
(:mod:`bayescausal.model.formulas.file`). Any other is Python.

The name stands for a ``pm.Model`` at the top level of the file, or for a function without
required arguments that returns one. The file is run as a module of its own, with its directory
on the import path, so that it can import the files beside it. It is code: run only files you
trust. What fails in it is reported with the line of the file, not with a traceback through this
package.
"""

from __future__ import annotations

import importlib.util
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING

import pymc as pm

from bayescausal.model.files import no_file
from bayescausal.model.formulas.file import SUFFIXES, model_from_text
from bayescausal.types import ModelError, closest

if TYPE_CHECKING:
    from types import ModuleType

    from bayescausal.annotations import Data

__all__ = ["model_from_file"]


def model_from_file(spec: str, data: Data | None = None) -> pm.Model:
    """Return the model that ``file.py:name`` or ``file.txt`` stands for.

    - `spec`: path of a Python file, a colon, and the name of a model or of a function in it; or
      path of a text file with formulas.
    - `data`: gives a model from formulas its levels, its ``pm.Data`` and the scales of its priors.
      A model in Python does not see it.

    Examples
    --------
    >>> import pathlib, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = pathlib.Path(folder, "study.py")
    ...     _ = path.write_text("import pymc as pm\\nmodel = pm.Model()\\n")
    ...     type(model_from_file(f"{path}:model")).__name__
    'Model'
    """
    if spec.endswith(SUFFIXES):
        return model_from_text(spec, data)
    file, colon, name = spec.rpartition(":")
    if not colon or not file or not name:
        raise ModelError(
            f"MODEL is {spec!r}.",
            expected="file.py:name, for example coating.py:model, or a file of formulas that ends "
            "in .txt.",
        )
    path = Path(file)
    if not path.is_file():
        raise no_file(ModelError, path, "Give the path of a Python file.")
    module = _run_file(path)
    if not hasattr(module, name):
        offers = [key for key, value in vars(module).items() if _is_offer(value, module.__name__)]
        raise ModelError(
            f"{path.name} defines no {name!r}.",
            remedy=f"Models and functions there: {', '.join(offers) or 'none'}.",
            names=closest(name, offers)[:1],
        )
    value = getattr(module, name)
    if callable(value) and not isinstance(value, pm.Model):
        try:
            value = value()
        except Exception as error:
            raise ModelError(
                f"{name}() of {path.name} failed: {_where(error, path)}.",
                expected="a function without required arguments that returns a PyMC model.",
            ) from error
    if not isinstance(value, pm.Model):
        raise ModelError(
            f"{name!r} of {path.name} gives {type(value).__name__}.",
            expected="a PyMC model, or a function without arguments that returns one.",
        )
    return value


def _run_file(path: Path) -> ModuleType:
    """Run a Python file as a module; files beside it can be imported by it."""
    label = f"_bayescausal_model_{path.stem}"
    loader_spec = importlib.util.spec_from_file_location(label, path)
    if loader_spec is None or loader_spec.loader is None:
        raise ModelError(f"{path.name} is not a Python file.", expected="a name ending in .py.")
    module = importlib.util.module_from_spec(loader_spec)
    sys.modules[label] = module
    sys.path.insert(0, str(path.resolve().parent))
    try:
        loader_spec.loader.exec_module(module)
    except Exception as error:
        raise ModelError(f"{path.name} does not run: {_where(error, path)}.") from error
    finally:
        sys.path.pop(0)
    return module


def _is_offer(value: object, module: str) -> bool:
    """Say whether a name of the user's file could be meant as a model."""
    return isinstance(value, pm.Model) or (
        callable(value) and getattr(value, "__module__", None) == module
    )


def _where(error: Exception, path: Path) -> str:
    """Return the error with the last line of the user's own file that it passed through."""
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame.lineno for frame in frames if Path(frame.filename).resolve() == path.resolve()]
    line = f"line {own[-1]}: " if own else ""
    return f"{line}{type(error).__name__}: {error}".rstrip(".")
