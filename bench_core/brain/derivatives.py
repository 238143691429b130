"""Files of fMRIPrep's derivatives: every functional file is taken, or left out with a reason."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from bench_core.brain.bids import companions, entities, run_name
from bench_core.brain.content import absent_content
from bench_core.brain.targets import Exclusion
from bench_core.errors import InputError

NATIVE = "native"
"""``targets.space`` of images without a space entity: the scanner's own grid."""

NO_RESOLUTION = "none"
"""``targets.resolution`` of images without a res entity."""

_VOLUMES = (".nii.gz", ".nii")


@dataclass(frozen=True)
class Wanted:
    """The keys of ``[targets]`` that choose among a subject's files."""

    task: Sequence[str]
    space: str
    resolution: str | None

    def reason_against(self, path: Path) -> str | None:
        """Return why the functional file is not one of the wanted images, None if it is."""
        found = entities(path.name)
        space, res = found.get("space", NATIVE), found.get("res", NO_RESOLUTION)
        if not path.name.endswith(tuple(f"_bold{ending}" for ending in _VOLUMES)):
            return "a surface or CIFTI file: only volumes (.nii.gz, .nii) are read"
        if found.get("desc") != "preproc":
            return f"desc is {found.get('desc', 'absent')}, not preproc"
        if not any(fnmatchcase(found.get("task", ""), task) for task in self.task):
            return f"task {found.get('task', 'absent')} is not in targets.task"
        if space != self.space:
            return f"space {space}, and targets.space is {self.space}"
        if self.resolution not in (None, res):
            return f"resolution {res}, and targets.resolution is {self.resolution}"
        return absent_content(path)

    def one_each(self, named: Mapping[str, Sequence[Path]]) -> dict[str, Path]:
        """Return the one image of every run; raise `InputError`, naming all, where there are more.

        Runs of several resolutions are not mixed: all runs must have one grid.
        """
        several = [files for files in named.values() if len(files) > 1]
        if several:
            found = sorted({entities(p.name).get("res", NO_RESOLUTION) for f in several for p in f})
            remedy = (
                f"choose one of {', '.join(map(repr, found))} with targets.resolution"
                if len(found) > 1
                else "remove or rename all but one of each"
            )
            shown = "; ".join(", ".join(path.name for path in files) for files in several[:3])
            more = f" and {len(several) - 3} more runs" if len(several) > 3 else ""
            raise InputError(f"several images of one run: {shown}{more}: {remedy}")
        return {name: files[0] for name, files in named.items()}


def find_bold(subject: Path, wanted: Wanted) -> tuple[dict[str, list[Path]], list[Exclusion]]:
    """Return the wanted images of every run of ``subject``, and all its other functional files.

    Raises `InputError` when no file is wanted, naming spaces, tasks and resolutions that exist.
    """
    folders = [subject / "func", *sorted(subject.glob("ses-*/func"))]
    every = [path for each in folders for path in sorted(each.glob("*_bold.*")) if _data(path)]
    found: dict[str, list[Path]] = {}
    exclusions = []
    for path in every:
        reason = wanted.reason_against(path)
        if reason is None:
            found.setdefault(run_name(path.name), []).append(path)
        else:
            exclusions.append(Exclusion(path.name, reason))
    if not found:
        names = [entities(path.name) for path in every]
        spaces = sorted({name.get("space", NATIVE) for name in names})
        tasks = sorted({name.get("task", "") for name in names})
        first = f"; {exclusions[0].name}: {exclusions[0].reason}" if exclusions else ""
        raise InputError(
            f"{subject} has no image desc-preproc_bold with targets.space {wanted.space}, "
            f"targets.task {list(wanted.task)} and targets.resolution {wanted.resolution or 'any'}:"
            f" spaces are {spaces}, tasks {tasks}{first}"
        )
    return dict(sorted(found.items())), exclusions


def brain_masks(subject: Path, mask: str | None, images: Sequence[Path], space: str) -> list[Path]:
    """Return fMRIPrep's masks for ``targets.mask``: one for "anat", one per image for "func".

    Empty for another ``mask``. Raises `InputError` for a mask that is missing, or several.
    """
    endings = [f"_mask{ending}" for ending in _VOLUMES]
    if mask == "func":
        found = []
        for image in images:
            beside = companions(image, "brain", endings)
            if len(beside) != 1:
                what = ", ".join(path.name for path in beside) or "no desc-brain_mask"
                raise InputError(f"{image} has {what} beside it: give targets.mask a path")
            found.append(beside[0])
        return found
    if mask != "anat":
        return []
    folders = [subject / "anat", *sorted(subject.glob("ses-*/anat"))]
    every = [path for each in folders for end in endings for path in sorted(each.glob(f"*{end}"))]
    right = [path for path in every if _is_brain(path, space)]
    if len(right) > 1:  # any resolution will do, that of the images first
        res = entities(images[0].name).get("res")
        right = [path for path in right if entities(path.name).get("res") == res] or right
    if not right:
        raise InputError(
            f'{subject} has no brain mask in space {space} for targets.mask = "anat": give "func", '
            "or the path of a mask"
        )
    if len(right) > 1:
        raise InputError(
            f"{subject} has several brain masks in space {space}: "
            f"{', '.join(path.name for path in right)}; give the path of one as targets.mask"
        )
    return right


def _is_brain(path: Path, space: str) -> bool:
    found = entities(path.name)
    return found.get("desc") == "brain" and found.get("space") == space


def _data(path: Path) -> bool:
    return path.suffix != ".json"
