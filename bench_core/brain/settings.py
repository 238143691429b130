"""Settings of a problem from fMRI data, read from a TOML file."""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Annotated, Any, Literal

from bench_core.brain.features import EventSettings, NpyFeatureSettings
from bench_core.brain.fmriprep import FmriprepSettings
from bench_core.brain.joined_features import SpacesSettings
from bench_core.brain.nifti import NiftiSettings
from bench_core.brain.pairing import PairingSettings
from bench_core.brain.stored_features import StoreSettings
from bench_core.brain.timeseries import AlgonautsSettings, CneuromodSettings, NpySettings
from bench_core.errors import InputError, unknown
from bench_core.toml import read_section, read_toml
from encoders.alignment import THESIS_TR, Alignment

TARGETS = {
    "fmriprep": FmriprepSettings,
    "images": NiftiSettings,
    "cneuromod-h5": CneuromodSettings,
    "algonauts-h5": AlgonautsSettings,
    "npy": NpySettings,
}
SECTIONS = ("targets", "features", "samples", "pairing")
FEATURES = {"store": StoreSettings, "npy": NpyFeatureSettings, "events": EventSettings}
SPACES = "spaces"
"""``features.source`` of several feature spaces, each with a source of its own."""


@dataclass(frozen=True, kw_only=True)
class SampleSettings:
    """``[samples]``: the TRs of the stimulus that predict a volume; see `encoders.alignment`."""

    tr: Annotated[float, "repetition time in seconds"] = THESIS_TR
    window: Annotated[int, "TRs whose features are concatenated"] = 4
    start: Annotated[int, "TRs from a volume back to the latest TR of its window"] = 1
    first: Annotated[int, "TR of the stimulus at which volume 0 was acquired"] = 0

    def alignment(self) -> Alignment:
        """Return the alignment; raise `InputError` for values that make none."""
        return Alignment(tr=self.tr, window=self.window, start=self.start, first=self.first)


@dataclass(frozen=True)
class ProblemSettings:
    """Settings of one problem.

    Parameters
    ----------
    path : the TOML file.
    name : name of the problem.
    out : folder to create, None when the file names none.
    dtype : dtype of X and Y.
    """

    path: Path
    name: str
    out: Path | None
    dtype: str
    targets: Any
    features: Any
    samples: SampleSettings
    pairing: PairingSettings

    @classmethod
    def read(cls, path: str | Path) -> ProblemSettings:
        """Return the settings in ``path``.

        Raises `InputError` or `UnknownNameError`, naming the key.
        """
        path = Path(path)
        tables = read_toml(path)
        base = path.resolve().parent
        known = (*SECTIONS, *(each.name for each in fields(_Top)))
        for name in tables:
            if name not in known:
                raise unknown(f"key in {path}", name, known)
        sections = {name: tables.pop(name, {}) for name in SECTIONS}
        try:
            top = read_section(_Top, tables, "", base)
            return cls(
                path,
                top.name or path.stem,
                top.out,
                top.dtype,
                _of_source(TARGETS, sections["targets"], "targets", base),
                _features(sections["features"], base),
                read_section(SampleSettings, sections["samples"], "samples", base),
                read_section(PairingSettings, sections["pairing"], "pairing", base),
            )
        except (InputError, LookupError) as error:
            raise type(error)(f"{path}: {error}") from error

    def description(self) -> dict[str, Any]:
        """Return all settings as JSON values, for the problem's ``meta``."""
        return {name: _plain(asdict(getattr(self, name))) for name in SECTIONS}


@dataclass(frozen=True, kw_only=True)
class _Top:
    name: Annotated[str | None, "name of the problem"] = None
    out: Annotated[Path | None, "the folder to make"] = None
    dtype: Annotated[Literal["float32", "float64"], "of X and Y"] = "float32"


def _features(table: Any, base: Path) -> Any:
    """Return the settings of one source of features, or of several spaces."""
    if not isinstance(table, dict) or table.get("source") != SPACES:
        return _of_source({**FEATURES, SPACES: SpacesSettings}, table, "features", base)
    rest = {name: value for name, value in table.items() if name not in ("source", SPACES)}
    for name in rest:
        raise unknown("key in [features]", name, ("source", SPACES))
    spaces = table.get(SPACES)
    if not isinstance(spaces, dict) or not spaces:
        raise InputError("features.spaces is missing: a table [features.spaces.NAME] for each")
    return SpacesSettings(
        spaces={
            name: _of_source(FEATURES, own, f"features.spaces.{name}", base)
            for name, own in spaces.items()
        }
    )


def _of_source(sources: dict[str, Any], table: Any, where: str, base: Path) -> Any:
    if not isinstance(table, dict) or "source" not in table:
        raise InputError(f"{where}.source is missing: one of {', '.join(sources)}")
    rest = {name: value for name, value in table.items() if name != "source"}
    if table["source"] not in sources:
        raise unknown(f"{where}.source", str(table["source"]), sources)
    return read_section(sources[table["source"]], rest, where, base)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _plain(each) for name, each in value.items()}
    if isinstance(value, tuple | list):
        return [_plain(each) for each in value]
    return str(value) if isinstance(value, Path) else value
