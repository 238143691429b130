"""A part of what changed: since a commit."""

from __future__ import annotations

from dataclasses import replace

from bench_core.errors import InputError, unknown
from bench_core.history.regressions import Regressions


def changes_since(found: Regressions, commit: str) -> Regressions:
    """Return the changes that may be later than ``commit``, the name of a measured one.

    Raises
    ------
    UnknownNameError : no measured commit of this name.
    InputError : the name of several.
    """
    names = [one.full for one in found.order.commits]
    places = [
        place
        for place, name in enumerate(names)
        if len(commit) >= 4 and (name.startswith(commit) or commit.startswith(name))
    ]
    if not places:
        raise unknown("commit", commit, [name[:8] for name in names])
    if len(places) > 1:
        raise InputError(f"commit {commit!r} is one of {len(places)}: give more digits")
    later = set(names[places[0] + 1 :])
    kept = tuple(one for one in found.changes if one.last.full in later)
    return replace(found, changes=kept)
