"""The errors that ridgebench raises, and the wording they share.

Every message names the value that was wrong and what to do about it.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class RidgebenchError(Exception):
    """Base of all errors that are the user's to mend; the command line prints them plainly."""


class BadInput(RidgebenchError, ValueError):
    """Data or parameters that no fit can use."""


class UnknownName(RidgebenchError, LookupError):
    """A name that nothing answers to; the message offers near ones."""


class NotEnough(RidgebenchError, RuntimeError):
    """Cores or memory that the work needs and the machine lacks."""


def unknown(kind: str, name: str, known: Iterable[str]) -> UnknownName:
    """Return the error for a ``name`` that is no known ``kind``, with near names first.

    >>> print(unknown("strategy", "bmr", ["bmor", "mor", "ridgecv"]))
    unknown strategy 'bmr': did you mean 'bmor', 'mor'? known: bmor, mor, ridgecv
    """
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
    hint = f"did you mean {', '.join(map(repr, near))}? " if near else ""
    return UnknownName(f"unknown {kind} {name!r}: {hint}known: {', '.join(names) or 'none'}")


def readable_bytes(count: float) -> str:
    """Return ``count`` bytes in the unit a person would choose (powers of 1024).

    >>> readable_bytes(16_384 * 9_000 * 8)
    '1.10 GiB'
    """
    for unit in ("B", "KiB", "MiB", "GiB"):
        if abs(count) < 1024:
            return f"{count:.0f} B" if unit == "B" else f"{count:.2f} {unit}"
        count /= 1024
    return f"{count:.2f} TiB"
