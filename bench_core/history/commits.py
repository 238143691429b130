"""The order of commits: git's, along first parents; never that of measuring."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from bench_core.errors import counted


@dataclass(frozen=True)
class Commit:
    """One measured commit.

    Parameters
    ----------
    name : as the results name it, eight digits or more.
    full : its whole hash; the name where nobody knows it.
    subject : first line of its message; empty where git does not know it.
    seconds : when it was committed, since 1970; None where nobody knows.

    Examples
    --------
    >>> Commit("c0ffee00", "c0ffee00" + 32 * "0", "a commit", 0.0).name
    'c0ffee00'
    """

    name: str
    full: str
    subject: str = ""
    seconds: float | None = None


@dataclass(frozen=True)
class CommitOrder:
    """Measured commits, oldest first, and what was to say about their order.

    Examples
    --------
    >>> CommitOrder((), ()).commits
    ()
    """

    commits: tuple[Commit, ...]
    notes: tuple[str, ...]


def order_commits(
    started: Mapping[str, str],
    *,
    full: Mapping[str, str] | None = None,
    dates: Mapping[str, float] | None = None,
    root: Path | None = None,
    branch: str = "HEAD",
) -> CommitOrder:
    """Return measured commits in the order of the branch's first parents.

    Commits beside that line are left out, and named. Where git knows none of them they stand in
    the order of their dates, and where nobody knows all dates, of measuring; both are said.

    Parameters
    ----------
    started : name of each commit → when it was first measured, ISO 8601.
    full, dates : names → whole hash, and seconds since 1970, of those that are known.
    root : folder of a git checkout.
    """
    full, dates = full or {}, dates or {}
    line = [] if root is None else _first_parents(root, branch)
    by_start = {commit.full[:8]: commit for commit in line}
    known = [name for name in started if name[:8] in by_start]
    if known:
        order = {commit.full[:8]: place for place, commit in enumerate(line)}
        found = [
            Commit(name, one.full, one.subject, one.seconds)
            for name in sorted(known, key=lambda name: order[name[:8]])
            for one in [by_start[name[:8]]]
        ]
        beside = sorted(set(started) - set(known))
        notes = [_left_out(beside, branch)] if beside else []
        return CommitOrder(tuple(found), tuple(notes))
    if all(name in dates for name in started):
        names, how = sorted(started, key=lambda name: (dates[name], name)), "of their dates"
    else:
        names, how = sorted(started, key=lambda name: (started[name], name)), "of measuring"
    notes = [f"git knows none of these commits here: they stand in the order {how}"]
    commits = tuple(Commit(name, full.get(name, name), "", dates.get(name)) for name in names)
    return CommitOrder(commits, tuple(notes) if len(names) > 1 else ())


def _left_out(names: list[str], branch: str) -> str:
    shown = ", ".join(name[:8] for name in names[:5]) + (" …" if len(names) > 5 else "")
    return f"{counted(len(names), 'commit')} beside the first parents of {branch} left out: {shown}"


def _first_parents(root: Path, branch: str) -> list[Commit]:
    """Return the commits of a branch along first parents, oldest first; none without git."""
    try:
        done = subprocess.run(
            [
                *("git", "-C", str(root), "log", "--first-parent", "--reverse"),
                *("--format=%H%x09%ct%x09%s", "--end-of-options", branch, "--"),
            ],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
    except OSError:
        return []
    found = []
    for line in done.stdout.splitlines() if done.returncode == 0 else ():
        full, seconds, subject = line.split("\t", 2)
        found.append(Commit(full[:8], full, subject, float(seconds)))
    return found
