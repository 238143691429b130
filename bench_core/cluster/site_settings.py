"""Dask's configuration at this site, and clear errors where Dask fails because of it.

Files in ``/etc/dask``, the environment and the home folder, and variables ``DASK_…``, change what
Dask does. Some of it no cluster of this package can do, such as encryption, and a broken file keeps
Dask from being imported at all.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, cast

from bench_core.errors import InputError

#: Set for the nodes by this package itself.
OWN_VARIABLES = {"DASK_LOGGING__DISTRIBUTED": "warning"}
# They say where the files are.
_PLACES = ("DASK_CONFIG", "DASK_ROOT_CONFIG")


def check_dask() -> None:
    """Import Dask; raise `InputError`, which names the file, where its configuration is broken."""
    try:
        importlib.import_module("distributed")
    except ImportError:
        raise
    except Exception as error:
        text = " ".join(str(error).split())
        raise InputError(
            f"Dask cannot use its configuration at this site: {text}; correct or move that file"
            f"{_named_variables()}"
        ) from error


def explain(error: BaseException) -> InputError | None:
    """Return an error that names the site's settings, None where the site sets nothing."""
    settings = describe_settings()
    if not settings:
        return None
    cause = error
    while cause.__cause__ is not None:
        cause = cause.__cause__
    return InputError(
        f"Dask's cluster does not start: {type(cause).__name__}: {' '.join(str(cause).split())}; "
        f"{settings}"
    )


def describe_settings() -> str:
    """Return the site's settings of Dask, where they are from and how to override one.

    Empty where the site sets nothing.
    """
    import dask.config

    found = _flat(dask.config.collect())
    for variable in (*OWN_VARIABLES, *_PLACES):
        found.pop(variable.removeprefix("DASK_").lower().replace("__", "."), None)
    if not found:
        return ""
    listed = ", ".join(f"{name}={value!r}" for name, value in sorted(found.items()))
    sources = _files(dask.config.paths) or ["no file"]
    example = "DASK_" + next(iter(sorted(found))).replace(".", "__").replace("-", "_").upper()
    return (
        f"this site's Dask configuration sets {listed} ({', '.join(sources)}"
        f"{_named_variables()}): correct it, or override a setting by a variable such as {example}"
    )


def _named_variables() -> str:
    names = [name for name in sorted(os.environ) if name.startswith("DASK_")]
    named = ", ".join(name for name in names if name not in OWN_VARIABLES)
    return f"; variables that are set: {named}" if named else ""


def _files(folders: list[str]) -> list[str]:
    """Return the files in which Dask looks for settings, and which set something."""
    import dask.config

    found = dask.config.collect_yaml(list(dict.fromkeys(folders)), return_paths=True)
    # Files whose lines are all comments set nothing: Dask puts such into the home folder.
    return [str(path) for path, settings in cast("Iterator[tuple[Path, Any]]", found) if settings]


def _flat(settings: Mapping[str, Any], above: str = "") -> dict[str, Any]:
    """Return nested settings by dotted names.

    >>> _flat({"distributed": {"comm": {"require-encryption": True}}})
    {'distributed.comm.require-encryption': True}
    """
    found: dict[str, Any] = {}
    for name, value in settings.items():
        if isinstance(value, Mapping) and value:
            found |= _flat(value, f"{above}{name}.")
        else:
            found[f"{above}{name}"] = value
    return found
