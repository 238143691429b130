"""Problems of several subjects, built in one run from one file of settings."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from bench_core.brain.build import BuildPlan, build, describe, plan
from bench_core.brain.settings import ProblemSettings
from bench_core.data.problem import Problem
from bench_core.errors import InputError
from bench_core.progress import Progress, silent


@dataclass
class BuiltSubjects:
    """Problems that are built, and why others are not, by the name of the subject.

    Parameters
    ----------
    kept : subjects of ``built`` whose problem was there before.

    Examples
    --------
    >>> BuiltSubjects({}, {"sub-02": "bold.nii.gz is cut short"}).failed["sub-02"]
    'bold.nii.gz is cut short'
    """

    built: dict[str, Problem] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)
    kept: list[str] = field(default_factory=list)


def plan_subjects(settings: Sequence[ProblemSettings]) -> dict[str, BuildPlan]:
    """Return the plan of every subject by its name; no image is read.

    Raises `InputError` or `UnknownNameError` as `bench_core.brain.build.plan`, naming the subject.
    """
    found = {}
    for each in settings:
        name = each.subject or each.name
        try:
            found[name] = plan(each)
        except (InputError, LookupError) as error:
            if each.subject is None:
                raise
            raise type(error)(f"{name}: {error}") from error
    return found


def subject_folders(
    settings: Sequence[ProblemSettings], out: Path | None = None
) -> dict[str, Path | None]:
    """Return the folder that is made for every subject; None where the file names none.

    out : instead of the file's: the folder itself of one problem, SUBJECT in it of several.

    Raises `InputError` where two subjects have one folder.
    """
    found: dict[str, Path | None] = {}
    for each in settings:
        own = out if out is None or each.subject is None else out / each.subject
        found[each.subject or each.name] = own or each.out
    places = [folder for folder in found.values() if folder is not None]
    for folder in places:
        if places.count(folder) > 1:
            raise InputError(f"out is {folder} for several subjects: write {{subject}} in it")
    return found


def build_subjects(
    plans: Mapping[str, BuildPlan], folders: Mapping[str, Path], *, progress: Progress = silent
) -> BuiltSubjects:
    """Build every subject's problem; a damaged file ends that subject's alone.

    A problem that is there, of the same settings and runs, is kept.
    """
    found = BuiltSubjects()
    for name, planned in plans.items():

        def show(what: str, done: int = 0, total: int = 0, /, *, name: str = name) -> None:
            progress(f"{name} {what}".strip(), done, total)

        folder = folders[name]
        folder.parent.mkdir(parents=True, exist_ok=True)
        try:
            if _is_there(planned, folder):
                found.kept.append(name)
                found.built[name] = Problem.open(folder)
            else:
                found.built[name] = build(planned, folder, progress=show)
        except InputError as error:
            found.failed[name] = str(error)
    return found


def _is_there(planned: BuildPlan, folder: Path) -> bool:
    """Return whether ``folder`` is a problem that this plan has made.

    Raises `InputError` for a folder that is another one.
    """
    if not folder.exists():
        return False
    about = json.loads(json.dumps(describe(planned)))
    if Problem.open(folder).meta != about:
        raise InputError(
            f"{folder} was built with other settings, runs or versions: remove it, or choose "
            "another folder"
        )
    return True
