"""Names of a package that are imported when they are asked for."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from typing import Any


def lazy(package: str, places: Mapping[str, str]) -> Callable[[str], Any]:
    """Return a package's ``__getattr__`` that imports a name's module when the name is asked for.

    Parameters
    ----------
    package : name of the package.
    places : name → the module that has it, below the package.

    Examples
    --------
    In a package: ``__getattr__ = lazy(__name__, {"InputError": "errors"})``.

    >>> lazy("bench_core", {"InputError": "errors"})("InputError").__name__
    'InputError'
    """

    def find(name: str) -> Any:
        if name not in places:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(importlib.import_module(f"{package}.{places[name]}"), name)

    return find
