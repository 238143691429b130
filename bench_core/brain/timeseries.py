"""Targets from extracted time courses: HDF5 files and ``.npy`` files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np
from numpy.typing import NDArray

from bench_core.brain import extraction
from bench_core.brain.bids import Pattern, entities
from bench_core.brain.content import absent_content
from bench_core.brain.label_names import label_names
from bench_core.brain.targets import (
    Exclusion,
    FmriRun,
    check_finite_run,
    standardised,
    without_excluded,
)
from bench_core.data.space import TargetSpace
from bench_core.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Iterator

    import h5py

_SUFFIX = "_timeseries"


@dataclass(frozen=True, kw_only=True)
class SeriesSettings:
    """Keys of ``[targets]`` that all extracted time courses share."""

    labels: Annotated[Path | None, "the label image they were extracted with, for maps"] = None
    template: Annotated[str | None, 'the space of that image, such as "MNI152"'] = None
    standardize: Annotated[bool, "scale every run to mean 0 and variance 1"] = True
    tr: Annotated[float | None, "repetition time in seconds, to compare with the features'"] = None


@dataclass(frozen=True, kw_only=True)
class CneuromodSettings(SeriesSettings):
    """``source = "cneuromod-h5"``: one group per session, one ``RUN_timeseries`` per run."""

    files: Annotated[tuple[Path, ...], "HDF5 files of one subject"]

    def open(self, base: Path, dtype: str, exclude: Sequence[str] = ()) -> SeriesTargets:
        """Return the targets."""
        return _opened(self, dtype, exclude, *_in_files(self.files, sessions=True))


@dataclass(frozen=True, kw_only=True)
class AlgonautsSettings(SeriesSettings):
    """``source = "algonauts-h5"``: one dataset ``ses-…_task-…`` per run (Algonauts 2025)."""

    files: Annotated[tuple[Path, ...], "HDF5 files of one subject"]

    def open(self, base: Path, dtype: str, exclude: Sequence[str] = ()) -> SeriesTargets:
        """Return the targets."""
        return _opened(self, dtype, exclude, *_in_files(self.files, sessions=False))


@dataclass(frozen=True, kw_only=True)
class NpySettings(SeriesSettings):
    """``source = "npy"``: one array (volumes, targets) per run."""

    folder: Annotated[Path, "the folder of the arrays"]
    pattern: Annotated[str, "pattern of the files, * for the run's name"] = "*.npy"

    def open(self, base: Path, dtype: str, exclude: Sequence[str] = ()) -> SeriesTargets:
        """Return the targets."""
        found = Pattern(self.pattern).find(self.folder)
        if not found:
            raise InputError(f"{self.folder} has no file {self.pattern}: correct targets.pattern")
        gone = {name: absent_content(path) for name, path in found.items()}
        exclusions = [
            Exclusion(name, f"{found[name].name}: {why}") for name, why in gone.items() if why
        ]
        series = {
            name: _Series(path, None, load_npy(path).shape)
            for name, path in found.items()
            if gone[name] is None
        }
        if not series:
            raise InputError(f"no file {self.pattern} can be read: {exclusions[0].reason}")
        return _opened(self, dtype, exclude, series, exclusions)


@dataclass(frozen=True)
class _Series:
    file: Path
    dataset: str | None
    shape: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class SeriesTargets:
    """Targets from time courses; see `bench_core.brain.targets.Targets`."""

    runs: Sequence[FmriRun]
    exclusions: Sequence[Exclusion]
    files: Sequence[Path]
    about: Mapping[str, Any]
    names: Sequence[str]
    space: TargetSpace | None
    series: Mapping[str, _Series]
    standardize: bool
    dtype: str
    notes: Sequence[str] = ()

    def read(self, run: FmriRun) -> NDArray[Any]:
        """Return the targets (m, s) of ``run``."""
        series = self.series[run.name]
        if series.dataset is None:
            found = np.array(load_npy(series.file))
        else:
            from bench_core.data.hdf5 import check_written

            with _h5(series.file) as file:
                check_written(file[series.dataset], f"{series.file}:{series.dataset}")
                found = file[series.dataset][()]
        found = found[run.kept]
        check_finite_run(found, run)
        found = found.astype(self.dtype)
        return standardised(found) if self.standardize else found


def load_npy(path: Path) -> NDArray[Any]:
    """Return the array in ``path``, memory-mapped; raise `InputError` unless it is 2-D numbers."""
    try:
        array: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        absent = absent_content(path)
        if absent is not None:
            raise InputError(f"{path}: {absent}") from error
        raise InputError(f"{path} cannot be read as an array: {error}") from error
    if array.ndim != 2 or array.dtype.kind not in "fiu":
        raise InputError(
            f"{path} holds {array.dtype} of shape {array.shape}: two axes of numbers are needed"
        )
    return array


@contextmanager
def _h5(path: Path) -> Iterator[h5py.File]:
    import h5py

    try:
        with h5py.File(path, "r") as file:
            yield file
    except (OSError, KeyError) as error:  # how h5py reports damage and absence
        absent = absent_content(path)
        if absent is not None:
            raise InputError(f"{path}: {absent}") from error
        raise InputError(f"{path} cannot be read as HDF5: {error}. Copy it again") from error


def _in_files(
    files: Sequence[Path], *, sessions: bool
) -> tuple[dict[str, _Series], list[Exclusion]]:
    import h5py

    found: dict[str, _Series] = {}
    exclusions = []
    for path in files:
        with _h5(path) as file:
            tops = file.items()
            entries = (
                [
                    (f"{s}/{k}", _full(s, k), v)
                    for s, g in tops
                    if _is_group(g)
                    for k, v in g.items()
                ]
                if sessions
                else [(k, k, v) for k, v in tops]
            )
            for place, name, data in entries:
                if sessions and not place.endswith(_SUFFIX):
                    continue
                if not isinstance(data, h5py.Dataset) or data.ndim != 2:
                    exclusions.append(Exclusion(name, f"{path.name}: {place} is not 2-D"))
                elif name in found:
                    raise InputError(f"run {name} is in {found[name].file} and again in {path}")
                else:
                    found[name] = _Series(path, place, data.shape)
    if not found:
        layout = "SESSION/RUN_timeseries" if sessions else "ses-…_task-…"
        raise InputError(f"{', '.join(map(str, files))}: no dataset named as {layout}")
    return found, exclusions


def _is_group(entry: Any) -> bool:
    import h5py

    return isinstance(entry, h5py.Group)


def _full(session: str, dataset: str) -> str:
    """Return the run's name with its session: ses-001, task-a_timeseries → ses-001_task-a."""
    run = dataset.removesuffix(_SUFFIX)
    return run if "ses" in entities(run) else f"{session}_{run}"


def _opened(
    settings: SeriesSettings,
    dtype: str,
    exclude: Sequence[str],
    series: Mapping[str, _Series],
    unreadable: Sequence[Exclusion],
) -> SeriesTargets:
    series, exclusions = without_excluded(series, exclude)
    first = next(iter(series))
    s = series[first].shape[1]
    for name, each in series.items():
        if each.shape[1] != s:
            raise InputError(
                f"run {name} has {each.shape[1]} targets and {first} has {s}: all runs must have "
                "the same"
            )
    space, files = None, []
    names = [f"parcel {k}" for k in range(1, s + 1)]
    if settings.labels is not None:
        files.append(settings.labels)
        image = extraction.load_image(settings.labels, "targets.labels")
        whole = extraction.of_parcels(image, image, settings.template, label_names(settings.labels))
        if len(whole.names) != s:
            raise InputError(
                f"targets.labels {settings.labels} has {len(whole.names)} labels and the time "
                f"courses have {s} columns: they must be the same parcels"
            )
        space = whole.space
        if whole.atlas:
            names = whole.names
    return SeriesTargets(
        runs=[
            FmriRun(
                name,
                each.shape[0],
                np.arange(each.shape[0], dtype=np.intp),
                settings.tr,
                (each.file,),
            )
            for name, each in sorted(series.items())
        ],
        exclusions=[*unreadable, *exclusions],
        files=files,
        about={"standardize": settings.standardize},
        names=names,
        space=space,
        series=series,
        standardize=settings.standardize,
        dtype=dtype,
    )
