"""Pairing of runs with the stimuli shown in them, by their names."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from string import Formatter
from typing import Annotated, Literal

from bench_core.brain.bids import entities
from bench_core.brain.targets import Exclusion, FmriRun
from bench_core.errors import InputError, listed, unknown

_TR_TOLERANCE_S = 1e-3


@dataclass(frozen=True, kw_only=True)
class PairingSettings:
    """``[pairing]``: how the names of runs and stimuli belong together."""

    stimulus: Annotated[
        str | None, 'the stimulus\'s name made of the run\'s entities: "{task}", "friends_{task}"'
    ] = None
    by_name: Annotated[dict[str, str], 'stimulus of single runs, RUN = "STIMULUS"'] = field(
        default_factory=dict
    )
    exclude: Annotated[tuple[str, ...], "runs to leave out, with * and ? as wildcards"] = ()
    tolerance_trs: Annotated[int, "TRs that a run and its stimulus may differ by"] = 1
    shorter_trs: Annotated[
        int | None, "TRs that a run may be shorter than its stimulus, instead of tolerance_trs"
    ] = None
    trim: Annotated[
        Literal["none", "end"], "volumes after the stimulus's end: kept, or cut before cleaning"
    ] = "none"

    def __post_init__(self) -> None:
        if self.shorter_trs is not None and self.shorter_trs < 0:
            raise InputError(f"pairing.shorter_trs is {self.shorter_trs}: give 0 or more")
        if self.tolerance_trs < 0:
            raise InputError(f"pairing.tolerance_trs is {self.tolerance_trs}: give 0 or more")
        try:
            parsed = list(Formatter().parse(self.stimulus or ""))
        except ValueError as error:
            raise InputError(f"pairing.stimulus {self.stimulus!r}: {error}") from error
        if any(name is not None and not name.isalnum() for _, name, _, _ in parsed):
            raise InputError(
                f"pairing.stimulus {self.stimulus!r}: write an entity in braces, as {{task}}"
            )


@dataclass(frozen=True, eq=False)
class Pair:
    """A run and the stimulus shown in it."""

    run: FmriRun
    stimulus: str


def pair(
    runs: Sequence[FmriRun], stimuli: Sequence[str], settings: PairingSettings
) -> tuple[list[Pair], list[Exclusion]]:
    """Return the pairs, in the order of ``runs``, and the runs and stimuli without a partner.

    A run's stimulus is the one that ``settings.by_name`` names, else the one called as
    ``settings.stimulus`` says, else the first that exists of: the run's whole name; the name
    without the subject; without the session; the task and run (``a_run-2``); the task.

    Raises `UnknownNameError` for a run or stimulus in ``by_name`` that does not exist, and
    `InputError` when no run is paired.
    """
    names = [run.name for run in runs]
    for name, stimulus in settings.by_name.items():
        if name not in names:
            raise unknown("run in [pairing.by_name]", name, names)
        if stimulus not in stimuli:
            raise unknown("stimulus in [pairing.by_name]", stimulus, stimuli)
    pairs, exclusions = [], []
    for run in runs:
        tried = candidates(run.name, settings)
        found = next((name for name in tried if name in stimuli), None)
        if found is None:
            exclusions.append(Exclusion(run.name, f"no stimulus called {' or '.join(tried)}"))
        else:
            pairs.append(Pair(run, found))
    if not pairs:
        raise InputError(
            f"no run has a stimulus: runs are {_some(names)}, stimuli {_some(stimuli)}; "
            "give pairing.stimulus or [pairing.by_name]"
        )
    shown = {each.stimulus for each in pairs}
    exclusions += [Exclusion(name, "stimulus of no run") for name in stimuli if name not in shown]
    return pairs, exclusions


def candidates(name: str, settings: PairingSettings) -> list[str]:
    """Return the names that a run's stimulus may have, the most specific first."""
    if name in settings.by_name:
        return [settings.by_name[name]]
    found = entities(name)
    if settings.stimulus is not None:
        try:
            return [settings.stimulus.format(**found)]
        except KeyError as error:
            raise InputError(
                f"pairing.stimulus {settings.stimulus!r} needs the entity {error.args[0]}, "
                f"which run {name} lacks"
            ) from None
    tried = [name, _joined(found, without=("sub",)), _joined(found, without=("sub", "ses"))]
    if "task" in found:
        if "run" in found:
            tried.append(f"{found['task']}_run-{found['run']}")
        tried.append(found["task"])
    return [each for each in dict.fromkeys(tried) if each]


def check_repetition_times(runs: Sequence[FmriRun], tr: float) -> None:
    """Raise `InputError`, naming all, for runs of another repetition time than ``tr`` seconds.

    The message says how each is known, as neither value is right for sure: ``samples.tr`` is also
    the TR of the features, so it must not follow a wrong header.
    """
    wrong = [
        f"run {run.name} has a repetition time of {run.tr:g} s ({run.tr_source}"
        f"{f': {run.tr_doubt}' if run.tr_doubt else ''})"
        for run in runs
        if run.tr is not None and abs(run.tr - tr) > _TR_TOLERANCE_S
    ]
    if wrong:
        raise listed(
            wrong,
            f"samples.tr is {tr:g} s",
            f"one of the two is wrong. If a volume was acquired every {tr:g} s, give targets.tr = "
            f"{tr:g}. If not, correct samples.tr and use features that were made for that TR",
        )


def check_lengths(found: Sequence[tuple[Pair, int | None]], settings: PairingSettings) -> None:
    """Raise `InputError`, naming all, for runs not as long as their stimuli of so many TRs.

    None is a stimulus of unknown length. With ``trim`` a run may be longer by any number.
    """
    longer: list[str] = []
    shorter: list[str] = []
    allowed = settings.tolerance_trs if settings.shorter_trs is None else settings.shorter_trs
    for each, trs in found:
        more = 0 if trs is None else each.run.volumes - trs
        words = (
            f"run {each.run.name} has {each.run.volumes} volumes and its stimulus "
            f"{each.stimulus} {trs} TRs: they differ by {abs(more)}"
        )
        if more > settings.tolerance_trs and settings.trim == "none":
            longer.append(words)
        if -more > allowed:
            shorter.append(words)
    if not longer and not shorter:
        return
    remedies = ["correct the pairing or samples.first"]
    if longer:
        remedies.append(
            'where only the scan went on after the stimulus, give pairing.trim = "end", which cuts '
            "the surplus volumes off, or a larger pairing.tolerance_trs, which keeps them"
        )
    if shorter:
        remedies.append("where the scan ended early, give a larger pairing.shorter_trs")
    remedies.append("or name the runs in pairing.exclude; nothing is resampled")
    limits = [f"pairing.tolerance_trs = {settings.tolerance_trs}"]
    if settings.shorter_trs is not None:
        limits.append(f"pairing.shorter_trs = {settings.shorter_trs}")
    raise listed(
        [*longer, *shorter], f"lengths differ by more than {', '.join(limits)}", "; ".join(remedies)
    )


def trimmed(each: Pair, trs: int | None, settings: PairingSettings) -> tuple[Pair, int]:
    """Return the pair without the volumes after its stimulus's end, and how many these are.

    The run says so in its notes. Without ``trim`` the pair is returned as it is.
    """
    run = each.run
    if settings.trim == "none" or trs is None or run.volumes <= trs:
        return each, 0
    kept = run.kept[run.kept < trs]
    cut = len(run.kept) - len(kept)
    note = f"{cut} volumes after the end of {each.stimulus} are cut off, before cleaning"
    return replace(each, run=replace(run, kept=kept, notes=(*run.notes, note))), cut


def _joined(found: Mapping[str, str], without: Sequence[str]) -> str:
    return "_".join(f"{key}-{value}" for key, value in found.items() if key not in without)


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (f", … ({len(names)} in all)" if len(names) > 5 else "")
