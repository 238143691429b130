"""Provenance of a record: versions, commit, machine; and the removal of private paths."""

from __future__ import annotations

import json
import os
import platform
import re
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

MACHINE = "RIDGEBENCH_MACHINE"
_PACKAGES = (
    "ridgebench",
    "numpy",
    "scipy",
    "scikit-learn",
    "joblib",
    "threadpoolctl",
    "dask",
    "distributed",
    "psutil",
    "mkl",
    "torch",
    "himalaya",
)


def versions() -> dict[str, str]:
    """Return the version of Python and of each installed package that a fit may use."""
    found = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found


def commit() -> tuple[str | None, bool | None]:
    """Return the commit measured, and whether tracked files differ from it.

    In an environment that asv installed, what it noted there of the installation, else its
    ``ASV_COMMIT``; else that of the checkout which the package lies in; else None. The note comes
    first: asv 0.6.6 leaves the variable of an environment that shares another's folder at the
    commit before, when it installs a second one.
    """
    if noted := _installed_by_asv():
        return noted, False
    if re.fullmatch("[0-9a-f]{40}", found := os.environ.get("ASV_COMMIT", "")):
        return found, False
    root = Path(__file__).parents[2]
    if not (root / ".git").exists():
        return None, None
    head = _git(root, "rev-parse", "HEAD")
    changes = _git(root, "status", "--porcelain", "--untracked-files=no")
    return head or None, None if changes is None else bool(changes)


def in_checkout(folder: Path) -> bool:
    """Return whether a folder lies in a git checkout, with a commit or without."""
    return _git(folder, "rev-parse", "--is-inside-work-tree") == "true"


def head(checkout: Path) -> str | None:
    """Return the commit that is checked out in a folder, None where git knows none."""
    return _git(checkout, "rev-parse", "HEAD") or None


def _installed_by_asv() -> str | None:
    """Return the commit that asv's own note in its environment's folder names, None without one."""
    note = Path(os.environ.get("ASV_ENV_DIR", ""), "asv-install-status.json")
    try:
        found = json.loads(note.read_text(encoding="utf-8")).get("commit_hash")
    except (OSError, ValueError):
        return None
    return found if isinstance(found, str) else None


def _git(root: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(
            ["git", "-C", str(root), *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=20,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def environment() -> str | None:
    """Return the name that asv gives this environment (``ASV_ENV_NAME``), or None."""
    return os.environ.get("ASV_ENV_NAME") or None


def machine_name() -> str | None:
    """Return what the machine is to be called: never its host name, unless its user chose it.

    ``RIDGEBENCH_MACHINE``, else the one machine that asv knows from ``asv machine``, else None.
    """
    if os.environ.get(MACHINE):
        return os.environ[MACHINE]
    try:
        known = json.loads((Path.home() / ".asv-machine.json").read_text("utf-8"))
    except (OSError, ValueError):
        return None
    named = [name for name, value in known.items() if isinstance(value, dict)]
    # asv takes the host's name where the user gives none.
    return named[0] if len(named) == 1 and named[0] != platform.node() else None


def without_paths(values: Any, roots: Mapping[str, str] | None = None) -> Any:
    """Return ``values`` with the folders of this machine renamed in every string.

    Records are published: what lay where is nobody's business. ``roots`` maps further folders to
    names. A string that is still an absolute path is cut to its last part.
    """
    known = {
        sys.prefix: "<environment>",
        sys.base_prefix: "<python>",
        str(Path(__file__).parents[2]): "<ridgebench>",
        tempfile.gettempdir(): "<temporary>",
        str(Path.home()): "<home>",
        str(Path.cwd()): "<here>",
        **(roots or {}),
    }
    return _rename(values, {path: name for path, name in known.items() if len(path) > 1})


def _rename(values: Any, roots: Mapping[str, str]) -> Any:
    if isinstance(values, Mapping):
        return {_rename(key, roots): _rename(value, roots) for key, value in values.items()}
    if isinstance(values, list | tuple):
        return [_rename(value, roots) for value in values]
    if isinstance(values, str):
        for root in sorted(roots, key=len, reverse=True):
            values = re.sub(re.escape(root) + r"(?=$|[/\s'\",:;)])", roots[root], values)
        if values.startswith("/") and not re.search(r"\s", values):
            values = values.rpartition("/")[2]
    return values
