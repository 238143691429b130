"""Names of runs: BIDS entities, and file patterns with one wildcard for the run's name."""

from __future__ import annotations

import glob
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench_core.errors import InputError

_OF_DERIVATIVES = ("space", "cohort", "res", "den", "hemi", "atlas", "label", "desc")
"""Entities that tell apart several files of one run."""


def entities(name: str) -> dict[str, str]:
    """Return the BIDS entities in ``name``, in order.

    >>> entities("sub-01_ses-002_task-s01e01a")
    {'sub': '01', 'ses': '002', 'task': 's01e01a'}
    """
    pairs = (part.partition("-") for part in name.partition(".")[0].split("_"))
    return {key: value for key, dash, value in pairs if dash and key.isalnum() and value}


def run_name(file_name: str) -> str:
    """Return the part of a BIDS file name that identifies the run.

    >>> run_name("sub-01_ses-1_task-a_run-2_space-MNI152Lin_res-2_desc-preproc_bold.nii.gz")
    'sub-01_ses-1_task-a_run-2'
    """
    found = entities(file_name)
    return "_".join(f"{key}-{found[key]}" for key in found if key not in _OF_DERIVATIVES)


def companions(image: Path, desc: str, endings: Sequence[str]) -> list[Path]:
    """Return the most specific files beside ``image`` that describe it, best rule of BIDS first.

    Their name ends with one of ``endings``, their ``desc`` entity is as given, and every other
    entity is one of the image's: a table without ``echo`` serves each echo. This is the rule of
    nilearn's `load_confounds`. More than one file is returned where names do not decide.
    """
    own = entities(image.name)
    found: dict[int, list[Path]] = {}
    for path in sorted(image.parent.iterdir()):
        if not path.name.endswith(tuple(endings)):
            continue
        theirs = entities(path.name)
        if theirs.pop("desc", None) == desc and theirs.items() <= own.items():
            found.setdefault(len(theirs), []).append(path)
    return found[max(found)] if found else []


@dataclass(frozen=True)
class Pattern:
    """A path with one ``*``, which stands for the run's name: ``*/bold.nii.gz``.

    Raises `InputError` unless there is exactly one.

    Examples
    --------
    >>> Pattern("*/bold.nii.gz").of(Path("study"), "run-1").as_posix()
    'study/run-1/bold.nii.gz'
    """

    text: str

    def __post_init__(self) -> None:
        if self.text.count("*") != 1 or self.text.startswith("/") or ".." in self.text:
            raise InputError(
                f"pattern {self.text!r} needs one *, in the place of the run's name, and must "
                "stay inside its folder"
            )

    def find(self, folder: Path) -> dict[str, Path]:
        """Return the files in ``folder`` by the text that ``*`` stands for, sorted.

        Links count whether their target exists or not; see `bench_core.brain.content`.
        """
        before, after = map(re.escape, self.text.split("*"))
        place = re.compile(f"{before}([^/]+){after}")
        found = {}
        for name in sorted(glob.glob(self.text, root_dir=folder)):
            match = place.fullmatch(Path(name).as_posix())
            if match is not None:
                found[match[1]] = folder / name
        return found

    def of(self, folder: Path, name: str) -> Path:
        """Return the path for one run's ``name``."""
        return folder / self.text.replace("*", name)
