"""Old public names, kept for one release."""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Callable, Mapping
from typing import Any


def renamed(module: str, names: Mapping[str, str]) -> Callable[[str], Any]:
    """Return a module's ``__getattr__`` that answers to old names with a `DeprecationWarning`.

    Parameters
    ----------
    module : name of the module that had the old names.
    names : old name → "new.module:name".

    Examples
    --------
    In a module: ``__getattr__ = renamed(__name__, {"BadInput": "bench_core.errors:InputError"})``.
    """

    def find(name: str) -> Any:
        if name not in names:
            raise AttributeError(f"module {module!r} has no attribute {name!r}")
        path, _, attribute = names[name].partition(":")
        warnings.warn(
            f"{module}.{name} is now {path}.{attribute}; the old name goes with the next release",
            DeprecationWarning,
            stacklevel=2,
        )
        return getattr(importlib.import_module(path), attribute)

    return find
