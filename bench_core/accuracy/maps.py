"""Values per target as brain maps: NIfTI files and figures."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from bench_core.data.problem import Problem
from bench_core.data.space import TargetSpace
from bench_core.errors import InputError
from bench_core.files import replace_file


@dataclass
class WrittenMaps:
    """Files that were written, and figures that could not be drawn, with the reason."""

    files: list[Path] = field(default_factory=list)
    not_drawn: dict[str, str] = field(default_factory=dict)


def to_image(space: TargetSpace, values: ArrayLike) -> Any:
    """Return ``values`` (s,) as a NIfTI image, float32, NaN where there is no target."""
    import nibabel

    image = nibabel.Nifti1Image(space.volume(values).astype(np.float32), space.affine)
    image.header.set_xyzt_units("mm")
    return image


def write_maps(
    problem: Problem,
    r: ArrayLike,
    folder: str | Path,
    *,
    name: str = "r",
    chosen: NDArray[np.bool_] | None = None,
    title: str | None = None,
    figures: bool = True,
) -> WrittenMaps:
    """Write ``r`` (s,) into ``folder`` as ``NAME.nii.gz`` and as figures.

    Figures are ``NAME_glass_brain.png`` and ``NAME_surface.png`` (fsaverage5) for problems in MNI
    space, and ``NAME_slices.png`` for all. With ``chosen`` (s,), usually the significant targets,
    ``NAME_significant.nii.gz`` has only these, and so have the figures, unless there is none.

    Existing files are replaced, each whole or not at all. ``not_drawn`` names the figures that
    cannot be drawn.

    Raises `InputError` for a problem without the positions of its targets.
    """
    if problem.space is None:
        raise InputError(
            f"{problem.name} has no positions of its targets: a map needs a problem with a space"
        )
    values = np.asarray(r, dtype=np.float64)
    if values.shape != (problem.s,):
        raise InputError(f"{values.shape} values for {problem.s} targets: give one for each")
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    written = WrittenMaps()

    def put(file: str, save: Callable[[Path], object]) -> None:
        written.files.append(replace_file(folder / file, save))

    image = to_image(problem.space, values)
    put(f"{name}.nii.gz", image.to_filename)
    title = problem.name if title is None else title
    if chosen is not None:
        only = to_image(problem.space, np.where(chosen, values, np.nan))
        put(f"{name}_significant.nii.gz", only.to_filename)
        if chosen.any():
            image, title = only, f"{title}: significant"
        else:
            title = f"{title}: none significant, all shown"
    if not figures:
        return written
    if np.isnan(values).all():
        written.not_drawn["figures"] = "r is undefined everywhere"
        return written

    from bench_core.accuracy import plotting

    template = problem.space.template or "a space without a name"
    mni = template.upper().startswith("MNI")
    put(f"{name}_slices.png", lambda path: plotting.draw_slices(image, path, title, mni))
    if not mni:
        reason = f"the targets are in {template}, not MNI"
        written.not_drawn |= {"glass brain": reason, "surface": reason}
        return written
    put(f"{name}_glass_brain.png", lambda path: plotting.draw_glass_brain(image, path, title))
    label = name.replace("_", " ")
    put(f"{name}_surface.png", lambda path: plotting.draw_surface(image, path, title, label))
    return written
