"""Settings of a problem from fMRI data, read from a TOML file."""

from __future__ import annotations

import re
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
PLACE = "{subject}"
"""What stands for the label of the subject in a file of several."""


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
    subject : "sub-01" and so on in a file of several subjects, None in one of a single problem.
    """

    path: Path
    name: str
    out: Path | None
    dtype: str
    targets: Any
    features: Any
    samples: SampleSettings
    pairing: PairingSettings
    subject: str | None = None

    @classmethod
    def read(cls, path: str | Path) -> ProblemSettings:
        """Return the settings in ``path``, which are of one problem.

        Raises `InputError` or `UnknownNameError`, naming the key.
        """
        found = cls.read_all(path)
        if len(found) > 1:
            names = ", ".join(str(each.subject) for each in found)
            raise InputError(f"{path} is of several subjects ({names}): give a file of one")
        return found[0]

    @classmethod
    def read_all(cls, path: str | Path) -> list[ProblemSettings]:
        """Return the settings of every subject in ``path``; of one problem without ``subjects``.

        ``{subject}`` in any text of the file stands for the subject's label. Where ``out`` or
        ``name`` have none, "sub-" and the label are added, as a folder and as a word; [targets]
        from fMRIPrep need none either.

        Raises `InputError` or `UnknownNameError`, naming the key.
        """
        path = Path(path)
        tables = read_toml(path)
        subjects = tables.pop("subjects", None)
        if subjects is None:
            return [cls._of(path, tables)]
        try:
            labels = _labels(subjects)
            own = [_of_subject(tables, label, path.stem) for label in labels]
        except InputError as error:
            raise InputError(f"{path}: {error}") from error
        return [
            cls._of(path, each, f"sub-{label}") for each, label in zip(own, labels, strict=True)
        ]

    @classmethod
    def _of(cls, path: Path, tables: dict[str, Any], subject: str | None = None) -> ProblemSettings:
        base = path.resolve().parent
        known = (*SECTIONS, *(each.name for each in fields(_Top)), "subjects")
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
                subject,
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


def _labels(subjects: Any) -> list[str]:
    """Return the labels of ``subjects``, without "sub-"."""
    if not isinstance(subjects, list) or not subjects:
        raise InputError(f'subjects is {subjects!r}: give labels, such as ["01", "02"]')
    for each in subjects:
        if not isinstance(each, str) or not re.fullmatch(r"(sub-)?[A-Za-z0-9]+", each):
            raise InputError(
                f'subjects has {each!r}: a label is letters and digits in quotes, such as "01"'
            )
    labels = [each.removeprefix("sub-") for each in subjects]
    if twice := sorted({each for each in labels if labels.count(each) > 1}):
        raise InputError(f"subjects has {', '.join(twice)} twice: give each once")
    return labels


def _of_subject(tables: dict[str, Any], label: str, stem: str) -> dict[str, Any]:
    """Return the tables of a file of several subjects as those of one."""
    targets = tables.get("targets")
    if isinstance(targets, dict):
        if targets.get("source") == "fmriprep":
            targets = {"subject": PLACE, **targets}
        if PLACE not in repr(targets):
            raise InputError(
                f"subjects: [targets] are the same for all of them: write {PLACE} where they differ"
            )
        tables = {**tables, "targets": targets}
    own = {"name": stem, **tables}
    if isinstance(own["name"], str) and PLACE not in own["name"]:
        own["name"] += f" sub-{PLACE}"
    if isinstance(own.get("out"), str) and PLACE not in own["out"]:
        own["out"] += f"/sub-{PLACE}"
    found: dict[str, Any] = _replaced(own, label)
    return found


def _replaced(value: Any, label: str) -> Any:
    if isinstance(value, dict):
        return {name: _replaced(each, label) for name, each in value.items()}
    if isinstance(value, list):
        return [_replaced(each, label) for each in value]
    return value.replace(PLACE, label) if isinstance(value, str) else value


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
