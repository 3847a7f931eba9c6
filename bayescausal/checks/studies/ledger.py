"""A study on disk: a header that says which study it is, then one line per finished replicate.

The first line is JSON with a *fingerprint* of the study: the models (variables, families,
equations' constants and arrows), the truth, the questions, the sizes, the options and the seed, but
not the number of replicates, so that a study can be made longer. Every further line is one
replicate with all its rows, written in one piece and flushed. A line that was cut off by a crash is
dropped on reading and its replicate runs again; so does nothing else. Numbers are written by
``repr`` and read back bit for bit.

It fails where two processes write to one file at a time: their replicates are all there, some
twice; the first one counts.
"""

from __future__ import annotations

import hashlib
import inspect
import json
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from pytensor.compile import SharedVariable
from pytensor.graph.basic import Constant, Variable
from pytensor.graph.traversal import walk

from bayescausal.effects.estimands.estimand import Estimand
from bayescausal.inference.record import Fit
from bayescausal.types import Intervention, Policy, Stochastic, StudyError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from types import CellType

    import pymc as pm

__all__ = ["Ledger", "fingerprint", "open_ledger", "say"]

VERSION = 1


class Ledger:
    """An open study: what is done, and where more is written."""

    def __init__(self, path: Path, done: dict[int, list[dict[str, Any]]], seed: int) -> None:
        self.path, self.done, self.seed = path, done, seed

    def write(self, replicate: int, rows: list[dict[str, Any]]) -> None:
        """Add a replicate: one line, in one piece."""
        line = json.dumps({"replicate": replicate, "rows": rows}) + "\n"
        with open(self.path, "ab", buffering=0) as file:
            file.write(line.encode())
            os.fsync(file.fileno())


def open_ledger(
    path: str | os.PathLike[str], kind: str, parts: Mapping[str, str], seed: int | None
) -> tuple[int, Ledger]:
    """Open a study that was begun, or begin one.

    ``path``: of the file; its folder must exist.
    ``kind``: ``"recover"``, ``"calibrate"`` or ``"assurance"``.
    ``parts``: the fingerprint, by part.
    ``seed``: None: the seed that the file has, or a fresh one.
    Raises StudyError if the file holds another study, naming what differs, or no study.
    """
    path = Path(path)
    if not path.parent.is_dir():
        raise StudyError(f"There is no folder {str(path.parent)!r}.")
    if path.is_dir():
        raise StudyError(f"{str(path)!r} is a folder.", expected="The name of a file.")
    if path.exists() and path.stat().st_size:
        header, done = _read(path)
        wanted = {"kind": kind, **parts}
        found = {"kind": header.get("kind"), **header.get("parts", {})}
        differ = [k for k in wanted if found.get(k) != wanted[k]]
        if seed is not None and header.get("seed") != seed:
            differ.append("seed")
        if differ:
            raise StudyError(
                f"{str(path)!r} holds another study: the {', '.join(differ)} differ"
                f"{'s' if len(differ) == 1 else ''}.",
                expected="The study that was begun in this file.",
                remedy="Give another path, or delete the file.",
            )
        return int(header["seed"]), Ledger(path, done, int(header["seed"]))
    if seed is None:
        seed = int(np.random.SeedSequence().generate_state(1)[0] >> 1)
    header = {"bayescausal": "study", "version": VERSION, "kind": kind, "seed": seed}
    path.write_text(json.dumps({**header, "parts": dict(parts)}) + "\n", encoding="utf-8")
    return seed, Ledger(path, {}, seed)


def fingerprint(**parts: Any) -> dict[str, str]:
    """Return a short hash for each part of a study."""
    return {k: hashlib.sha256(say(v).encode()).hexdigest()[:16] for k, v in parts.items()}


def say(value: object) -> str:
    """Return a text that two equal parts of a study share and different ones do not.

    Models are told apart by their variables, operations, constants and data; functions by their
    code and the values that they close over, not by the globals that they read.
    """
    import pymc as pm

    if isinstance(value, pm.Model):
        return _say_model(value)
    if isinstance(value, Variable):
        return _say_graph([value])
    if isinstance(value, Fit):
        return _hash([say(value.model), *(say(v.values) for v in value.posterior.values())])
    if isinstance(value, Estimand | Intervention):
        return f"{type(value).__name__}({_fields(value)})"
    if isinstance(value, dict) or hasattr(value, "items"):
        if isinstance(value, pd.DataFrame | pd.Series):
            return _hash([str(list(value.index)[:1]), value.to_json(double_precision=15)])
        return "{" + ", ".join(f"{say(k)}: {say(v)}" for k, v in value.items()) + "}"
    if isinstance(value, np.ndarray | np.generic):
        array = np.asarray(value)
        return f"{array.dtype}{array.shape}{hashlib.sha256(array.tobytes()).hexdigest()}"
    if isinstance(value, list | tuple | set | frozenset):
        inside = sorted(map(say, value)) if isinstance(value, set | frozenset) else map(say, value)
        return f"[{', '.join(inside)}]"
    if inspect.isroutine(value) and hasattr(value, "__code__"):
        return _say_function(value)
    if value is None or isinstance(value, str | int | float | bool):
        return repr(value)
    inner = getattr(value, "__dict__", None)
    return f"{type(value).__qualname__}({_fields(value) if inner else ''})"


def _read(path: Path) -> tuple[dict[str, Any], dict[int, list[dict[str, Any]]]]:
    """Return the header and what is done; a last line without an end is cut off."""
    raw = path.read_bytes()
    whole = raw[: raw.rfind(b"\n") + 1]
    lines = whole.split(b"\n")[:-1]
    try:
        header = json.loads(lines[0]) if lines else {}
    except (json.JSONDecodeError, UnicodeDecodeError):
        header = {}
    if not isinstance(header, dict) or header.get("bayescausal") != "study":
        raise StudyError(f"{str(path)!r} holds no study.", remedy="Give another path.")
    if header.get("version") != VERSION:
        raise StudyError(
            f"{str(path)!r} was written by another version (format {header.get('version')}).",
            expected=f"Format {VERSION}.",
        )
    done: dict[int, list[dict[str, Any]]] = {}
    for number, line in enumerate(lines[1:], start=2):
        try:
            entry = json.loads(line)
            done.setdefault(int(entry["replicate"]), entry["rows"])
        except (json.JSONDecodeError, UnicodeDecodeError, KeyError, TypeError) as error:
            raise StudyError(
                f"Line {number} of {str(path)!r} cannot be read.",
                remedy="Delete that line: its replicate will run again.",
            ) from error
    if len(whole) < len(raw):
        with open(path, "r+b") as file:
            file.truncate(len(whole))
    return header, done


def _hash(parts: Iterable[str]) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _say_model(model: pm.Model) -> str:
    """Return the named variables with their expressions, in the order of their names."""
    parts = [str({k: tuple(map(str, v or ())) for k, v in sorted(model.coords.items())})]
    named = {v: n for n, v in model.named_vars.items()}
    for name in sorted(model.named_vars):
        variable = model.named_vars[name]
        observed = model.rvs_to_values.get(variable) if variable in model.observed_RVs else None
        parts.append(f"{name} {model.named_vars_to_dims.get(name)} {_say_graph([variable], named)}")
        if observed is not None:
            parts.append(f"{name} observed {_say_graph([observed])}")
    return _hash(parts)


def _say_graph(outputs: list[Variable], named: Mapping[Any, str] | None = None) -> str:
    """Return operations, constants and data of expressions, in the order of a walk."""
    named = named or {}
    roots = set(outputs)
    parts = []

    def inputs(variable: Variable) -> list[Variable]:
        if variable.owner is None or (variable in named and variable not in roots):
            return []
        return list(variable.owner.inputs)

    for variable in walk(outputs, inputs, bfs=False):
        if variable in named and variable not in roots:
            parts.append(f"<{named[variable]}>")
        elif isinstance(variable, Constant):
            parts.append(say(np.asarray(variable.data)) if _is_array(variable.data) else "constant")
        elif isinstance(variable, SharedVariable):
            value = variable.get_value(borrow=True)
            parts.append(say(np.asarray(value)) if _is_array(value) else "shared")
        elif variable.owner is not None:
            parts.append(re.sub(r"0x[0-9a-f]+", "", str(variable.owner.op)))
    return _hash(parts)


def _is_array(value: object) -> bool:
    return isinstance(value, np.ndarray | np.generic | int | float)


def _say_function(function: Callable[..., object]) -> str:
    code = function.__code__
    inside = [say(c) for c in code.co_consts if isinstance(c, str | int | float | tuple)]
    cells = [say(c.cell_contents) for c in (function.__closure__ or ()) if _filled(c)]
    return _hash(
        [code.co_code.hex(), str(code.co_names), *inside, *cells, say(function.__defaults__)]
    )


def _filled(cell: CellType) -> bool:
    try:
        return cell.cell_contents is not None
    except ValueError:
        return False


def _fields(value: object) -> str:
    if isinstance(value, Policy):
        return f"{say(value.reads)}, {say(value.function)}"
    if isinstance(value, Stochastic):
        return _say_graph([value.distribution])
    return ", ".join(f"{k}={say(v)}" for k, v in sorted(vars(value).items()))
