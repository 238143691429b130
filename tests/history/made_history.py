"""Histories of made records: values of every commit are chosen."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from bench_core.records import EnvironmentRun, Record
from tests.comparison.made_runs import make_record


def made_commits(root: Path, count: int) -> list[str]:
    """Return the hashes of ``count`` commits of a new git checkout, oldest first."""

    def git(*arguments: str) -> str:
        names = ["-c", "user.name=a", "-c", "user.email=a@b.c", "-c", "commit.gpgsign=false"]
        return subprocess.run(
            ["git", "-C", str(root), *names, *arguments], check=True, capture_output=True, text=True
        ).stdout.strip()

    root.mkdir(parents=True, exist_ok=True)
    git("init", "-q", "-b", "main")
    found = []
    for number in range(count):
        git("commit", "-q", "--allow-empty", "-m", f"commit {number} <b>")
        found.append(git("rev-parse", "HEAD"))
    return found


def record_at(commit: str, seconds: float, **rest: Any) -> Record:
    """Return a valid record of three repeats around ``seconds``, or what ``rest`` makes of it."""
    changes = {
        name: rest.pop(name) for name in ("r", "worst", "memory", "versions") if name in rest
    }
    times = () if rest.get("status") in ("skipped", "failed") else [seconds * f for f in _REPEATS]
    made = make_record(*times, **rest)
    made = replace(made, id=f"{commit}-{made.id}-{seconds}-{rest}", commit=commit)
    if made.times is not None:
        made = replace(made, times=replace(made.times, ci95_s=(min(times), max(times))))
    if "r" in changes:
        made = replace(made, accuracy=replace(made.accuracy, mean=changes["r"]))
    if "worst" in changes:
        made = replace(made, agreement=replace(made.agreement, worst=changes["worst"]))
    if "memory" in changes:
        made = replace(made, memory=replace(made.memory, peak_bytes=changes["memory"]))
    if "versions" in changes:
        made = replace(made, versions=changes["versions"])
    return made


_REPEATS = (1.0, 1.02, 0.98)


def runs_of(
    commits: Sequence[str], records: Sequence[Sequence[Record]], *, environment: str = "env-a"
) -> list[EnvironmentRun]:
    """Return a run of one environment for every commit."""
    return [
        EnvironmentRun("here", commit[:8], environment, list(own))
        for commit, own in zip(commits, records, strict=True)
    ]
