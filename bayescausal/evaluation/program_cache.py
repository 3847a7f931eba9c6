"""Programs that were built before: the same worlds of the same model, asked again.

Building and compiling the worlds of a question costs far more than evaluating them for a few
hundred units. The same question is asked again and again: of every replicate of a simulation
study, of the prior beside the posterior, by the relatives of a question that share its inner draws.
A program depends on the model's structure, the worlds, the results asked for and on which values
differ between draws; not on data, draws or seeds. So programs are kept, a few per structure and
thread (a compiled function must not be entered twice at once), and go when the structure goes.

Nothing is kept where the worlds hold code (a ``Policy``): what a function does can change between
two calls. Neither are worlds with long arrays.
"""

from __future__ import annotations

import dataclasses
import threading
import weakref
from typing import TYPE_CHECKING, Any

import numpy as np

from bayescausal.types import FromWorld, Scale, Set, Shift, Stochastic

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Mapping

    from bayescausal.types import Intervention

__all__ = ["event_key", "remember", "signature"]

#: Programs kept per owner.
MOST = 64
#: Elements of an array up to which it is part of a signature.
LONG = 64


class _Kept(threading.local):
    """What was made, per owner; every thread has its own."""

    def __init__(self) -> None:
        self.of: weakref.WeakKeyDictionary[Any, dict[Hashable, Any]] = weakref.WeakKeyDictionary()


_KEPT = _Kept()


def remember[T](owner: object, key: Hashable | None, make: Callable[[], T]) -> T:
    """Return what was made before under a key, or make it.

    - `owner`: what it belongs to: kept as long as the owner lives.
    - `key`: None: make it, and keep nothing.
    - `make`: without arguments.

    Examples
    --------
    >>> class Owner: ...
    >>> owner = Owner()
    >>> remember(owner, "one", lambda: [1]) is remember(owner, "one", lambda: [1])
    True
    >>> remember(owner, None, lambda: [1]) is remember(owner, None, lambda: [1])
    False
    """
    if key is None:
        return make()
    kept = _KEPT.of.setdefault(owner, {})
    if key not in kept:
        value = make()
        while len(kept) >= MOST:
            kept.pop(next(iter(kept)))
        kept[key] = value
    found: T = kept[key]
    return found


def signature(worlds: Mapping[str, Mapping[str, Intervention]]) -> tuple[Any, ...] | None:
    """Return what tells worlds apart; None where they hold code or long arrays.

    `worlds`: ``{world: {variable: intervention}}``, parsed.

    Examples
    --------
    >>> from bayescausal.types import Policy, Set
    >>> signature({"a": {"x": Set(1)}}) == signature({"a": {"x": Set(1)}})
    True
    >>> signature({"a": {"x": Policy(lambda z: z)}}) is None
    True
    """
    parts = []
    for world, do in worlds.items():
        for name, act in do.items():
            found = _act(act)
            if found is None:
                return None
            parts.append((world, name, found))
    return (*worlds, *parts)


def event_key(value: object) -> tuple[Any, ...] | None:
    """Return what tells a plain value, or a record of plain values, apart; None if unknown.

    Examples
    --------
    >>> event_key((1.0, "a")) == event_key((1.0, "a")), event_key(object())
    (True, None)
    """
    if value is None or isinstance(value, str | int | float):
        return type(value).__name__, value
    if isinstance(value, np.ndarray) and value.size <= LONG and value.dtype.kind in "biuf":
        return value.dtype.str, value.shape, value.tobytes()
    if isinstance(value, tuple):
        parts = [event_key(v) for v in value]
    elif dataclasses.is_dataclass(value) and not isinstance(value, type):
        parts = [event_key(getattr(value, f.name)) for f in dataclasses.fields(value)]
    else:
        return None
    return None if None in parts else (type(value).__name__, *parts)


def _act(act: Intervention) -> tuple[Any, ...] | None:
    if isinstance(act, FromWorld):
        return "world", act.world
    if isinstance(act, Stochastic):
        return "law", act.distribution
    if isinstance(act, Set | Shift | Scale):
        value = np.asarray(getattr(act, "value", None) if isinstance(act, Set) else act.by)
        if value.size > LONG or value.dtype.kind not in "biuf":
            return None
        return type(act).__name__, value.dtype.str, value.shape, value.tobytes()
    return None
