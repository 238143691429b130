"""Errors of ridgebench, and their common wording.

Every message names the wrong value and the remedy.
"""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterable, Sequence
from importlib.metadata import PackageNotFoundError, distribution
from typing import Any
from urllib.parse import urlparse
from urllib.request import url2pathname

from bench_core.deprecated import renamed


class RidgebenchError(Exception):
    """Base of all errors that the command line prints without a traceback.

    ``exit_code`` is the command's exit status: 2 for what the user can correct, 1 for work that
    failed.
    """

    exit_code = 2


class InputError(RidgebenchError, ValueError):
    """Data or parameters that no fit can use."""


class UnknownNameError(RidgebenchError, LookupError):
    """An unknown name; the message offers similar ones."""


class ConformanceError(RidgebenchError, AssertionError):
    """A plug-in that breaks the contract of its kind; the message names the check that failed.

    Examples
    --------
    >>> try:
    ...     raise ConformanceError("check_predictions: shape (3,) where (3, 2) is due")
    ... except AssertionError as error:
    ...     str(error).partition(":")[0]
    'check_predictions'
    """


class ResourceError(RidgebenchError, RuntimeError):
    """Too few cores, or too little memory or disk, for the work."""


def error_named(name: str, text: str) -> RidgebenchError:
    """Return the error of this package whose class has this name, as another process reported it.

    A name of no loaded class gives the base class.

    >>> type(error_named("ResourceError", "no memory")).__name__
    'ResourceError'
    """
    kinds: list[type[RidgebenchError]] = [RidgebenchError]
    for kind in kinds:  # grows meanwhile
        kinds += kind.__subclasses__()
    found = next((kind for kind in kinds if kind.__name__ == name), RidgebenchError)
    return found(text)


def unknown(kind: str, name: str, known: Iterable[str]) -> UnknownNameError:
    """Return the error for a ``name`` that is no known ``kind``, with near names first.

    >>> print(unknown("strategy", "bmr", ["bmor", "mor", "ridgecv"]))
    unknown strategy 'bmr': did you mean 'bmor', 'mor'? known: bmor, mor, ridgecv
    """
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=3, cutoff=0.5)
    hint = f"did you mean {', '.join(map(repr, near))}? " if near else ""
    return UnknownNameError(f"unknown {kind} {name!r}: {hint}known: {', '.join(names) or 'none'}")


def listed(wrong: Sequence[str], what: str, remedy: str) -> InputError:
    """Return one error for everything that is ``wrong`` in one way, a line for each.

    >>> print(listed(["a is 1", "b is 2"], "values below 3", "give 3 or more"))
    values below 3: give 3 or more
      a is 1
      b is 2
    >>> print(listed(["a is 1"], "values below 3", "give 3 or more"))
    values below 3: a is 1: give 3 or more
    """
    if len(wrong) == 1:
        return InputError(f"{what}: {wrong[0]}: {remedy}")
    return InputError("\n  ".join([f"{what}: {remedy}", *wrong]))


def installed_from() -> dict[str, Any]:
    """Return where this installation came from (PEP 610, ``direct_url.json``).

    That is a clone, a file or a repository; of a release from a package index nothing is known.
    """
    try:
        text = distribution("ridgebench").read_text("direct_url.json")
        found: dict[str, Any] = json.loads(text) if text else {}
    except (PackageNotFoundError, ValueError):
        return {}
    return found


def install_command(extras: str) -> str:
    """Return the command that adds optional packages to this installation, from where it came.

    That is a clone or a file, or else the package index.

    >>> "[brain]" in install_command("brain")
    True
    """
    origin = installed_from()
    url = str(origin.get("url", ""))
    if not url.startswith("file:"):
        source = f" @ {url}" if url else ""
        return f"pip install 'ridgebench[{extras}]{source}'"
    if "dir_info" not in origin:
        return f"pip install 'ridgebench[{extras}] @ {url}'"
    folder = url2pathname(urlparse(url).path)
    editable = "-e " if origin["dir_info"].get("editable") else ""
    return f"pip install {editable}'{folder}[{extras}]'"


def counted(count: int, noun: str) -> str:
    """Return a count with its noun, singular for 1.

    >>> counted(1, "thread"), counted(2048, "target"), counted(2, "batch"), counted(3, "retry")
    ('1 thread', '2,048 targets', '2 batches', '3 retries')
    """
    if count == 1:
        return f"{count:,} {noun}"
    if noun.endswith("ch"):
        return f"{count:,} {noun}es"
    return f"{count:,} {noun[:-1]}ies" if noun.endswith("try") else f"{count:,} {noun}s"


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


__getattr__ = renamed(
    __name__,
    {
        "BadInput": "bench_core.errors:InputError",
        "UnknownName": "bench_core.errors:UnknownNameError",
        "NotEnough": "bench_core.errors:ResourceError",
    },
)
