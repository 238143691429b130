"""The problem of a sweep: a name, a problem folder, or array files, as its cases name it."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import numpy as np

from bench_core import __version__
from bench_core.data import Problem, problem_runs, shape
from bench_core.errors import InputError
from bench_core.fitting.sources import ProblemSource
from bench_core.leftovers import owned_folder
from bench_core.progress import Progress, silent
from bench_core.records.provenance import commit
from bench_core.runner.spec import ProblemShape


@dataclass(frozen=True)
class OwnProblem:
    """One problem to sweep.

    Parameters
    ----------
    reference : name or absolute folder, for `bench_core.runner.spec.FitSpec.problem`.
    name : in tables and records. words : that name the data on a command line.
    t, p, s : samples in all, features, targets. dtype : of the data. run_count : runs of samples.
    scale, subject, seed : of a named problem.
    digest : of the data's files and of this package's version: other digests, other records.

    Examples
    --------
    >>> problem = open_problem(ProblemSource("haxby2001"), Path("unused"))
    >>> problem.t, problem.training_samples, problem.words
    (1452, 1306, ('haxby2001',))
    """

    reference: str
    name: str
    words: tuple[str, ...]
    t: int
    p: int
    s: int
    dtype: str
    run_count: int
    digest: str
    named: bool = False
    scale: float = 1.0
    subject: str = "sub-01"
    seed: int = 0

    @property
    def shape(self) -> ProblemShape:
        """The sizes."""
        return ProblemShape(self.name, self.t, self.p, self.s, self.dtype)

    @property
    def training_samples(self) -> int:
        """Samples that the default split trains on, about."""
        return self.shape.training_samples("random")


def open_problem(source: ProblemSource, state: Path, progress: Progress = silent) -> OwnProblem:
    """Return the problem; array files are copied to a problem folder below ``state``, once.

    Raises
    ------
    UnknownNameError, InputError, ResourceError : as `ProblemSource.open`.
    """
    if source.named:
        return _named(source)
    if source.problem is not None:
        with owned_folder(state, "opening") as scratch:
            problem = source.open(scratch)  # names what is wrong with it
        folder = Path(source.problem).absolute()
        return _stored(problem, folder, (source.problem,), _digest(sorted(folder.iterdir())))
    assert source.x is not None
    assert source.y is not None
    digest = _digest(_files(source))
    folder = state / digest / Path(source.y.partition(":")[0]).stem
    if not folder.is_dir():
        with owned_folder(state, "opening") as scratch:
            source.open(scratch, progress).save(folder)
    words = ["--x", source.x, "--y", source.y]
    words += [] if source.runs is None else ["--runs", source.runs]
    return _stored(Problem.open(folder), folder.absolute(), tuple(words), digest)


def _named(source: ProblemSource) -> OwnProblem:
    assert source.problem is not None
    size = shape(source.problem, scale=source.scale, subject=source.subject)
    words = [source.problem]
    if size.scale != 1:
        words += ["--scale", str(Fraction(size.scale).limit_denominator(10_000))]
    if size.subject != "sub-01":
        words += ["--subject", size.subject]
    runs = problem_runs(source.problem, scale=source.scale, subject=source.subject)
    return OwnProblem(
        reference=source.problem,
        name=size.name,
        words=tuple(words),
        t=size.t,
        p=size.p,
        s=size.s,
        dtype="float64",
        run_count=len(np.unique(runs)),
        digest=_hash([size.name, size.scale, size.subject, source.seed]),
        named=True,
        scale=size.scale,
        subject=size.subject,
        seed=source.seed,
    )


def _stored(problem: Problem, folder: Path, words: tuple[str, ...], digest: str) -> OwnProblem:
    return OwnProblem(
        reference=str(folder),
        name=problem.name,
        words=words,
        t=problem.t,
        p=problem.p,
        s=problem.s,
        dtype=str(problem.dtype),
        run_count=len(np.unique(problem.runs)),
        digest=digest,
    )


def _files(source: ProblemSource) -> list[Path]:
    """Return the files that hold the arrays: FILE.h5:DATASET names a file and what is in it."""
    given = [text for text in (source.x, source.y, source.runs) if text is not None]
    found = [Path(one if Path(one).is_file() else one.rpartition(":")[0] or one) for one in given]
    for path in found:
        if not path.is_file():
            raise InputError(f"there is no file {path}: give an array file")
    return found


def _digest(paths: list[Path]) -> str:
    """Return a digest of names, sizes and times of files."""
    about = [(path.stat(), path) for path in paths]
    return _hash([[str(path.absolute()), one.st_size, one.st_mtime_ns] for one, path in about])


def _hash(values: list[object]) -> str:
    text = json.dumps([*values, __version__, commit()[0]])
    return hashlib.sha256(text.encode()).hexdigest()[:12]
