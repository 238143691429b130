"""Files that are named but not here, as git-annex and DataLad leave those never fetched."""

from __future__ import annotations

import os
from pathlib import Path

_POINTER = b"/annex/objects/"


def absent_content(path: Path) -> str | None:
    """Return why the content of ``path`` is not here, with the remedy; None if it is.

    A broken link, or a small text file in its place, as git-annex leaves them.
    """
    if path.is_symlink() and not path.exists():
        target = os.readlink(path)
        if "annex" in target:
            return f"its content was never fetched: run datalad get {path}"
        return f"it is a link to {target}, which does not exist: restore that file"
    try:
        with path.open("rb") as stream:
            pointer = stream.read(len(_POINTER)) == _POINTER
    except OSError:
        return None  # whoever reads it says what is wrong
    return f"its content was never fetched: run datalad get {path}" if pointer else None
