"""Names of runs: BIDS entities, and file patterns with one wildcard for the run's name."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from bench_core.errors import InputError

_RUN = ("sub", "ses", "task", "acq", "ce", "dir", "rec", "run", "echo", "part")


def entities(name: str) -> dict[str, str]:
    """Return the BIDS entities in ``name``, in order.

    >>> entities("sub-01_ses-002_task-s01e01a")
    {'sub': '01', 'ses': '002', 'task': 's01e01a'}
    """
    pairs = (part.partition("-") for part in name.split("_"))
    return {key: value for key, dash, value in pairs if dash and key.isalnum() and value}


def run_name(file_name: str) -> str:
    """Return the part of a BIDS file name that identifies the run.

    >>> run_name("sub-01_ses-1_task-a_run-2_space-MNI152Lin_res-2_desc-preproc_bold.nii.gz")
    'sub-01_ses-1_task-a_run-2'
    """
    found = entities(file_name.partition(".")[0])
    return "_".join(f"{key}-{found[key]}" for key in _RUN if key in found)


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
        """Return the files in ``folder`` by the text that ``*`` stands for, sorted."""
        before, after = map(re.escape, self.text.split("*"))
        place = re.compile(f"{before}([^/]+){after}")
        found = {}
        for path in sorted(folder.glob(self.text)):
            match = place.fullmatch(path.relative_to(folder).as_posix())
            if match is not None:
                found[match[1]] = path
        return found

    def of(self, folder: Path, name: str) -> Path:
        """Return the path for one run's ``name``."""
        return folder / self.text.replace("*", name)
