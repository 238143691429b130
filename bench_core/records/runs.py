"""Collected runs: the records of one environment, on one machine, at one commit.

They lie in ``results/<machine>/<commit>-<environment>.records.jsonl``, one record per line.
`bench_core.report.runs` collects them there.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path

from bench_core.records.blas import BlasRecord, LibraryRecord, TorchRecord
from bench_core.records.case import CaseRecord, ProblemRecord
from bench_core.records.figures import FiguresRecord
from bench_core.records.kernels import KernelsRecord
from bench_core.records.reading import AnyRecord, read_lines
from bench_core.records.record import Record
from bench_core.records.session import CLOCK_SUITE, SessionRecord
from bench_core.records.skips import SkipsRecord

SUFFIX = ".records.jsonl"
WHOLE = 0.75
"""Part of the cases from which on a commit was measured whole, and not in part."""

_BLAS, _KERNELS = "RIDGEBENCH_BLAS", "RIDGEBENCH_KERNELS"


@dataclass(frozen=True)
class EnvironmentRun:
    """All records of one environment, on one machine, at one commit.

    ``problems`` has a line for every record that was skipped because it could not be read.

    Examples
    --------
    >>> EnvironmentRun("here", "c0ffee00", "env-a", []).fits
    []
    """

    machine: str
    commit: str
    environment: str
    records: list[AnyRecord] = field(repr=False)
    problems: list[str] = field(default_factory=list)

    @property
    def fits(self) -> list[Record]:
        """The measurements of fits."""
        return [one for one in self.records if isinstance(one, Record)]

    @property
    def kernels(self) -> list[KernelsRecord]:
        """The rates of plain kernels."""
        return [one for one in self.records if isinstance(one, KernelsRecord)]

    @property
    def figures(self) -> list[FiguresRecord]:
        """Figures of encoders, of training, and of whole pipelines."""
        return [one for one in self.records if isinstance(one, FiguresRecord)]

    @property
    def skips(self) -> list[SkipsRecord]:
        """Parameter sets that did not run."""
        return [one for one in self.records if isinstance(one, SkipsRecord)]

    @property
    def sessions(self) -> list[SessionRecord]:
        """The sessions of `ridgebench bench` in which the fits took turns."""
        return [one for one in self.records if isinstance(one, SessionRecord)]

    @property
    def proofs(self) -> list[BlasRecord]:
        """The BLAS of every valid fit that numpy's or scipy's multiplied for."""
        return [one for one in self._proved if one.in_torch is None]

    @property
    def torch_proofs(self) -> list[TorchRecord]:
        """Torch's library of every valid fit whose products ran in torch."""
        return [one.in_torch for one in self._proved if one.in_torch is not None]

    @property
    def _proved(self) -> list[BlasRecord]:
        return [one.blas for one in self.fits if one.status == "ok" and one.blas is not None]


def read_runs(results_dir: Path, machine: str | None = None) -> list[EnvironmentRun]:
    """Return every collected run, of one machine or of all, ordered by machine and environment."""
    runs = []
    for path in sorted(results_dir.glob(f"{machine or '*'}/[!.]*{SUFFIX}")):
        commit, _, environment = path.name.removesuffix(SUFFIX).partition("-")
        found = read_lines(path)
        runs.append(
            EnvironmentRun(path.parent.name, commit, environment, found.records, found.problems)
        )
    return runs


def latest(runs: list[EnvironmentRun]) -> list[EnvironmentRun]:
    """Return, for each machine, the runs of the commit that was measured last.

    The clock alone, all that one environment in turns with itself leaves of single fits, is no
    measurement of a commit.
    """
    newest: dict[str, tuple[str, str]] = {}
    for run in runs:
        started = _last_start(run)
        newest[run.machine] = max(newest.get(run.machine, ("", "")), (started, run.commit))
    return [run for run in runs if newest[run.machine][1] == run.commit]


def whole_commits(counts: Mapping[tuple[str, str], int]) -> set[str]:
    """Return the commits of one machine that were measured whole, not in part.

    That is, in some environment with at least `WHOLE` of the most cases that it has at any commit.

    Parameters
    ----------
    counts : (environment, commit) → number of its cases.

    >>> sorted(whole_commits({("a", "1"): 40, ("a", "2"): 12, ("b", "3"): 9}))
    ['1', '3']
    """
    most: dict[str, int] = {}
    for (environment, _), count in counts.items():
        most[environment] = max(most.get(environment, 0), count)
    return {
        commit
        for (environment, commit), count in counts.items()
        if count and count >= WHOLE * most[environment]
    }


def newest_whole(runs: Sequence[EnvironmentRun], order: Sequence[str] = ()) -> list[EnvironmentRun]:
    """Return, for each machine, the runs of its newest commit that was measured whole.

    order : names of commits, the oldest first; those that are not in it come before, in the order
        of measuring.
    """
    place = {name[:8]: number for number, name in enumerate(order)}
    found: list[EnvironmentRun] = []
    for machine in dict.fromkeys(run.machine for run in runs):
        own = [run for run in runs if run.machine == machine]
        sizes: Counter[tuple[str, str]] = Counter()
        for run in own:
            sizes[run.environment, run.commit] += _size(run)
        whole = whole_commits(sizes)
        started = {run.commit: "" for run in own if run.commit in whole or not whole}
        for run in own:
            if run.commit in started:
                started[run.commit] = max(started[run.commit], _last_start(run))
        newest = max(started, key=lambda one: (place.get(one[:8], -1), started[one], one))
        found += [run for run in own if run.commit == newest]
    return found


def fullest(runs: Sequence[EnvironmentRun]) -> list[EnvironmentRun]:
    """Return, for each machine, the runs of the commit with most measurements, of equals the last.

    Commits that were measured in part, sooner or later, do not change what is returned.
    """
    worth: dict[tuple[str, str], tuple[int, str]] = {}
    for run in runs:
        size, started = worth.get((run.machine, run.commit), (0, ""))
        worth[run.machine, run.commit] = size + _size(run), max(started, _last_start(run))
    best = {
        machine: max((one for one in worth if one[0] == machine), key=lambda one: worth[one])
        for machine, _ in worth
    }
    return [run for run in runs if best[run.machine] == (run.machine, run.commit)]


def _size(run: EnvironmentRun) -> int:
    """Return the number of measurements of a run; the clock is none."""
    fits = sum(one.case.suite != CLOCK_SUITE for one in run.fits)
    return fits + len(run.kernels) + len(run.figures)


def _last_start(run: EnvironmentRun) -> str:
    own = [one.started for one in run.fits if one.case.suite != CLOCK_SUITE]
    return max([*own, *(one.started for one in run.figures)], default="")


def environment_label(run: EnvironmentRun) -> str:
    """Return the BLAS that answered in a run, its version and kernels: ``openblas 0.3.30 Haswell``.

    Taken from the proof in the records, not from the environment's name; the name is the answer
    only where nothing was measured.
    """
    proved = [blas.numpy for blas in run.proofs]
    proved += [one.blas.numpy for one in run.kernels if one.status == "ok" and one.blas is not None]
    return library_text(proved[0]) if proved else run.environment


def environment_texts(names: Iterable[str]) -> dict[str, str]:
    """Return asv's names of environments as people read them, each with its name.

    Where two would read alike, all stay as they are.

    >>> name = "virtualenv-py3.11-pip_mkl-RIDGEBENCH_BLASmkl-RIDGEBENCH_KERNELSbest"
    >>> environment_texts([name])[name]
    'mkl, kernels best, py3.11'
    """
    found = {name: _environment_text(name) for name in sorted(set(names))}
    return found if len(set(found.values())) == len(found) else {name: name for name in found}


def _environment_text(name: str) -> str:
    """Return BLAS, kernels and Python of an environment of asv; another name as it is."""
    words = name.split("-")
    blas = [one.removeprefix(_BLAS) for one in words if one.startswith(_BLAS)]
    if not blas:
        return name
    kernels = [one.removeprefix(_KERNELS) for one in words if one.startswith(_KERNELS)]
    said = [*blas, *(f"kernels {one}" for one in kernels if one != "default")]
    usual = {"virtualenv", f"pip_{blas[0]}", f"pip+{blas[0]}"}
    rest = [one for one in words if not one.startswith((_BLAS, _KERNELS)) and one not in usual]
    return ", ".join([*said, *rest])


def library_text(library: LibraryRecord) -> str:
    """Return a library with its version and kernels: ``openblas 0.3.30 Haswell``."""
    version = (library.version or "").partition("-")[0]
    return " ".join(word for word in (library.name, version, library.architecture) if word)


def torch_label(proof: TorchRecord) -> str:
    """Return the library that multiplied for torch, and where: ``torch mkl 2024.2 def on cpu``.

    A GPU has its name: ``torch cublas 12.8.4 sm_90 on NVIDIA H100``.
    """
    place = proof.device if proof.gpu is None else proof.gpu.name
    return f"torch {library_text(proof.library)} on {place}"


def record_label(record: Record, label: str) -> str:
    """Return the library behind a fit's products: torch's own, or its environment's ``label``."""
    proof = None if record.blas is None else record.blas.in_torch
    return label if proof is None else torch_label(proof)


def scale_text(scale: float | None) -> str:
    """Return a scale as people write it, ``1/16``; real data have none."""
    return "" if scale is None else str(Fraction(scale).limit_denominator(10_000))


def problem_text(problem: ProblemRecord) -> str:
    """Return a problem's name, with its subject where that is another than the first."""
    other = problem.subject not in (None, "sub-01")
    return f"{problem.name} {problem.subject}" if other else problem.name


def strategy_text(case: CaseRecord) -> str:
    """Return a strategy with the options that it was given: ``ridgecv gcv_mode=svd``."""
    options = [f"{key}={value}" for key, value in sorted(case.options.items())]
    return " ".join([case.strategy, *options])


def case_words(case: CaseRecord) -> str:
    """Return the words by which an A/A pair names a case: problem, scale, way and precision."""
    problem, scale = case.problem, case.problem.scale
    way = f"{strategy_text(case)} {case.nodes}×{case.threads} {problem.dtype}"
    return f"{problem.name} {1.0 if scale is None else scale:.4g}, {way}"
