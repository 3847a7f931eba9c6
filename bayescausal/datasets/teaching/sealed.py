r"""Numbers in a file that is given to students: found by those who have them, not by a glance.

*Bands.* The line of numbers is cut into cells of width w. For the truth and for each mistake the
file holds a slow hash of the cell that its number lies in, and a box (name and reason of the
mistake, the exact number) that is encrypted with another hash of the same cell. An answer with mean
m and sd s opens the boxes of the cells within m ± 3 s, and no others. A cell cannot be computed
from its hash; all cells can be tried, which takes a computer seconds to minutes. That is enough for
homework and not for an examination.

*The body*, the model with its parameters, is encrypted with a key made from the password (scrypt),
or, without one, from the file itself: then it is encoded, not secret.

Encryption is a key stream of SHAKE-256, xor-ed onto the compressed text, with an HMAC by which a
wrong password and a changed file are noticed. Each key serves one text: each has its own salt.

References
----------
.. [1] C. Percival and S. Josefsson, "The scrypt password-based key derivation function", RFC 7914,
   2016.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import math
import secrets
import zlib
from typing import TYPE_CHECKING, Any

from bayescausal.types import DataError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

__all__ = ["FORMAT", "bands", "cells", "opened", "sealed", "unboxed", "written"]

FORMAT = "bayescausal exercise 1"
#: Cells in one step of the resolution, and the most cells that one answer may touch.
FINE, MOST = 16, 2000
#: Rounds of the hash of a cell.
ROUNDS = 1000


def cells(mean: float, reach: float, resolution: float) -> range | None:
    """Return the cells within `reach` of a number; None if they are too many to be told apart.

    A number that is too large to have a cell is in none.

    Examples
    --------
    >>> cells(1.0, 0.1, 1.0), cells(1.0, 1e6, 1.0)
    (range(14, 18), None)
    """
    width = resolution / FINE
    ends = (mean - reach) / width, (mean + reach) / width
    if not all(map(math.isfinite, ends)):
        return range(0) if reach < abs(mean) else None
    first, last = (math.floor(end) for end in ends)
    return None if last - first >= MOST else range(first, last + 1)


def bands(
    numbers: Sequence[Mapping[str, Any]], resolution: float, salt: str
) -> list[tuple[str, str]]:
    """Return the hash and the box of each number, in an order that tells nothing."""
    found = []
    for each in numbers:
        place = math.floor(each["value"] / (resolution / FINE))
        tag, key = _of_cell(place, salt)
        once = secrets.token_hex(8)  # two numbers of one cell have different key streams
        found.append((tag, f"{once}:{_encrypt(dict(each), key + bytes.fromhex(once))}"))
    return sorted(found, key=lambda pair: pair[1])


def unboxed(asked: range, boxes: Sequence[tuple[str, str]], salt: str) -> Iterator[dict[str, Any]]:
    """Yield what is in the boxes of some cells."""
    for place in asked:
        tag, key = _of_cell(place, salt)
        for own, box in boxes:
            if own == tag:
                once, _, text = box.partition(":")
                yield _decrypt(text, key + bytes.fromhex(once))


def sealed(body: Mapping[str, Any], salt: str, password: str | None) -> str:
    """Return the body as text: encrypted with the password, or encoded without one."""
    return _encrypt(dict(body), _key(salt, password))


def opened(text: str, salt: str, password: str | None) -> dict[str, Any]:
    """Return the body.

    Raises DataError if the password is wrong or the file was changed.
    """
    try:
        return _decrypt(text, _key(salt, password))
    except ValueError as error:
        what = "The file was changed" if password is None else "The password is wrong"
        raise DataError(f"{what}: the exercise cannot be opened.") from error


def written(
    shown: Mapping[str, Any], hidden: Mapping[str, Any], resolution: float, password: str | None
) -> str:
    """Return the text of a file: what everybody sees, the bands, and the sealed body."""
    salt, numbers = secrets.token_hex(16), hidden["numbers"]
    whole = {
        "format": FORMAT,
        "use": "bayescausal.load_exercise(path), then data(your_name) and check(your_effect)",
        **shown,
        "mistakes": len(numbers) > 1,
        "resolution": resolution,
        "slack": max(each["error"] for each in numbers),
        "locked": password is not None,
        "salt": salt,
        "bands": bands(numbers, resolution, salt),
        "body": sealed(hidden, salt, password),
    }
    return json.dumps(whole, indent=2) + "\n"


# ------------------------------------------------------------------------------- private


def _of_cell(place: int, salt: str) -> tuple[str, bytes]:
    """Return the hash of a cell that is shown, and that which opens its boxes."""
    made = hashlib.pbkdf2_hmac("sha256", str(place).encode(), bytes.fromhex(salt), ROUNDS, 64)
    return made[:16].hex(), made[32:]


def _key(salt: str, password: str | None) -> bytes:
    if password is None:
        return hashlib.sha256(f"{FORMAT} {salt}".encode()).digest()
    own = bytes.fromhex(salt)
    return hashlib.scrypt(password.encode(), salt=own, n=2**14, r=8, p=1, dklen=32)


def _stream(key: bytes, length: int) -> bytes:
    return hashlib.shake_256(b"stream" + key).digest(length)


def _encrypt(value: dict[str, Any], key: bytes) -> str:
    plain = zlib.compress(json.dumps(value).encode(), 9)
    mixed = bytes(a ^ b for a, b in zip(plain, _stream(key, len(plain)), strict=True))
    tag = hmac.digest(key, mixed, "sha256")[:16]
    return base64.urlsafe_b64encode(tag + mixed).decode()


def _decrypt(text: str, key: bytes) -> dict[str, Any]:
    raw = base64.urlsafe_b64decode(text)
    tag, mixed = raw[:16], raw[16:]
    if not hmac.compare_digest(tag, hmac.digest(key, mixed, "sha256")[:16]):
        raise ValueError("another key")
    plain = bytes(a ^ b for a, b in zip(mixed, _stream(key, len(mixed)), strict=True))
    found: dict[str, Any] = json.loads(zlib.decompress(plain))
    return found
