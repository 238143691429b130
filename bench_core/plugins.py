"""Plug-ins by name: one module here, or an entry point of another package.

A built-in plug-in is one attribute of a module in the folder of its kind; the module's name, with
``_`` for ``-``, is the plug-in's name. A third party declares an entry point in the kind's group.
Listing names imports no plug-in, which keeps the command line quick.
"""

from __future__ import annotations

import importlib
import os
import pkgutil
import sys
from dataclasses import dataclass
from functools import cache
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path
from typing import Any

from bench_core.errors import unknown


@dataclass(frozen=True)
class Registry:
    """Plug-ins of one kind.

    Parameters
    ----------
    kind : name of one plug-in in messages ("strategy").
    package : dotted name of the package whose modules are the built-in plug-ins; modules whose
        names start with an underscore are not.
    attribute : name of the plug-in in each built-in module.
    group : entry-point group of third parties, None if they cannot add any.

    Examples
    --------
    >>> Registry("BLAS", "bench_core.blas.libraries", "LIBRARY").get("openblas").title
    'OpenBLAS'
    """

    kind: str
    package: str
    attribute: str
    group: str | None = None

    def names(self) -> list[str]:
        """Return the names of all plug-ins, sorted."""
        return sorted(self._builtin() | set(self._installed()))

    def get(self, name: str) -> Any:
        """Return the plug-in called ``name``.

        Raises `UnknownNameError` with near names otherwise.
        """
        if name in self._builtin():
            module = importlib.import_module(f"{self.package}.{name.replace('-', '_')}")
            return getattr(module, self.attribute)
        installed = self._installed()
        if name in installed:
            return installed[name].load()
        raise unknown(self.kind, name, self.names())

    def _builtin(self) -> frozenset[str]:
        folders = tuple(importlib.import_module(self.package).__path__)
        return _modules(folders, tuple(_changed(folder) for folder in folders))

    def _installed(self) -> dict[str, EntryPoint]:
        if self.group is None:
            return {}
        folders = tuple(os.path.abspath(folder) for folder in sys.path)
        return _points(self.group, folders, tuple(_changed(folder) for folder in folders))


def _changed(folder: str) -> int:
    """Return when files came to a folder or went, in ns; 0 for what is no folder."""
    try:
        return Path(folder).stat().st_mtime_ns
    except OSError:
        return 0


@cache
def _points(
    group: str, folders: tuple[str, ...], changed: tuple[int, ...]
) -> dict[str, EntryPoint]:
    """Return the entry points of a group, which the folders of ``sys.path`` hold.

    They are read once for every time of change: a file of every installed package is opened.
    """
    return {point.name: point for point in entry_points(group=group)}


@cache
def _modules(folders: tuple[str, ...], changed: tuple[int, ...]) -> frozenset[str]:
    """Return the names of the plug-ins in folders, listed once for every time of change."""
    return frozenset(
        module.name.replace("_", "-")
        for module in pkgutil.iter_modules(folders)
        if not module.name.startswith("_")
    )
