"""The scratch cache of problems: made and split once, shared by every case that needs them.

One entry is a folder with ``train`` and ``test`` (problem folders, opened memory-mapped) and
``split.json``. It is named after what it was made from, so data of another version of the
generator, or of a folder that has changed since, are never taken for it. One file lock lets one
process make an entry while others wait, another keeps entries that are in use from being cleared.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from bench_core.disk import check_space, check_writable, readable_path
from bench_core.errors import InputError, readable_bytes, unknown
from bench_core.files import write_json
from bench_core.leftovers import Leftover, bytes_in, remove_leftovers
from bench_core.progress import Progress, silent
from bench_core.runner.arrays import FitData, ProblemRef
from bench_core.runner.spec import FitSpec, ProblemShape
from bench_core.runner.split_choice import with_split

if TYPE_CHECKING:
    from bench_core.data import Problem

LOCATION = "RIDGEBENCH_SCRATCH"
LIMIT = "RIDGEBENCH_SCRATCH_GIB"
DEFAULT_LIMIT_GIB = 50.0


@dataclass(frozen=True)
class CachedProblem:
    """One split problem in the cache: its folder and the contents of its ``split.json``."""

    folder: Path
    split: dict[str, Any]

    def data(self, scratch: Path) -> FitData:
        """Return both parts by file; what has to be written for that goes to ``scratch``."""
        from bench_core.data import Problem

        train, test = (
            ProblemRef.share(Problem.open(self.folder / part), scratch)
            for part in ("train", "test")
        )
        split = self.split
        return FitData(
            train,
            test,
            split["t_train"],
            split["t_test"],
            split["kind"],
            split["warning"],
            split["fingerprint"],
        )


def scratch_folder(given: Path | None = None) -> Path:
    """Return the scratch folder: ``given``, else ``RIDGEBENCH_SCRATCH``, else the user's cache."""
    if given is not None:
        return given
    if os.environ.get(LOCATION):
        return Path(os.environ[LOCATION])
    caches = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(caches) / "ridgebench"


def prepare_scratch(given: Path | None = None, progress: Progress = silent) -> Path:
    """Return the scratch folder (see `scratch_folder`), absolute, ready to be written.

    What processes left there that were killed is removed, and told to ``progress``. Raises
    `InputError` for a folder that cannot be written, and for a limit that is no number.
    """
    root = scratch_folder(given).absolute()
    readable_path(root)
    check_writable(root)
    root = root.resolve()
    size_limit()
    removed = remove_leftovers(root, again=True)
    problems = root / "problems"
    if problems.is_dir():
        removed += _remove_interrupted(problems)
    if removed:
        size = readable_bytes(sum(each.bytes for each in removed))
        progress(f"removed {size} that killed runs had left in {root}")
    return root


def make_room(scratch: Path, needed: int, progress: Progress = silent) -> None:
    """Delete problems out of use until ``needed`` more bytes fit the limit of ``scratch``."""
    problems = scratch / "problems"
    if problems.is_dir():
        cleared = clear(problems, others=needed + _bytes_beside(problems))
        if cleared:
            progress(f"removed {len(cleared)} problems out of use from {scratch}, see {LIMIT}")


def size_limit() -> int:
    """Return the bytes beyond which entries out of use go (``RIDGEBENCH_SCRATCH_GIB``, 50 GiB)."""
    text = os.environ.get(LIMIT)
    try:
        gib = DEFAULT_LIMIT_GIB if not text else float(text)
    except ValueError:
        gib = -1.0
    if not gib >= 0:
        raise InputError(f"{LIMIT} is {text!r}: give a number of GiB, such as 50")
    return int(gib * 2**30)


def problem_shape(spec: FitSpec) -> ProblemShape:
    """Return the size of the case's problem without making it.

    Raises `UnknownNameError` with near names, or `InputError` for a damaged problem folder.
    """
    from bench_core.data import Problem, names, shape

    if spec.problem in names():
        found = shape(spec.problem, scale=spec.scale, subject=spec.subject)
        return ProblemShape(
            found.name, found.t, found.p, found.s, spec.dtype, found.subject, found.scale
        )
    if not Path(spec.problem).is_dir():
        if os.sep in spec.problem:
            raise InputError(f"there is no problem folder {spec.problem}: see `Problem.save`")
        raise unknown("problem", spec.problem, names())
    problem = Problem.open(spec.problem)
    return ProblemShape(problem.name, problem.t, problem.p, problem.s, spec.dtype)


@contextmanager
def cached(
    spec: FitSpec, *, scratch: Path | None = None, progress: Progress = silent
) -> Iterator[CachedProblem]:
    """Yield the case's problem from the cache, made first where it is absent.

    Raises `ResourceError` where the disk lacks the room, and what making the problem raises.
    """
    spec = with_split(spec)
    root = prepare_scratch(scratch, progress) / "problems"
    root.mkdir(exist_ok=True)
    source = _source(spec)
    text = json.dumps(source, sort_keys=True)
    name = f"{source['name']}-{hashlib.sha256(text.encode()).hexdigest()[:16]}"
    folder = root / name
    with _open_lock(root / f"{name}.lock") as lock:
        # Held from here to the end: nobody clears the entry, whole or half made.
        fcntl.flock(lock, fcntl.LOCK_SH)
        if not _is_whole(folder):
            progress("making the problem")
            # A lock of its own: to make the first one exclusive would wait for all who use it.
            with _open_lock(root / f"{name}.making.lock") as making:
                fcntl.flock(making, fcntl.LOCK_EX)
                if not _is_whole(folder):
                    _make(spec, source, folder)
                    clear(root, keep=name, others=_bytes_beside(root))
        with contextlib.suppress(PermissionError):  # another user's, whole and readable
            os.utime(folder)
        yield CachedProblem(folder, json.loads((folder / "split.json").read_text("utf-8")))


def clear(root: Path, *, keep: str = "", limit: int | None = None, others: int = 0) -> list[str]:
    """Delete the entries out of use for longest until the rest fit ``limit`` bytes.

    Entries that another process holds, or another user made, stay. Returns the names of those
    deleted.

    Parameters
    ----------
    others : bytes beside the entries that count too.
    """
    limit = size_limit() if limit is None else limit
    entries = sorted(
        (path for path in root.iterdir() if path.is_dir()), key=lambda path: path.stat().st_mtime
    )
    sizes = {path: _bytes_in(path) for path in entries}
    deleted = []
    for path in entries:
        if others + sum(sizes.values()) <= limit:
            break
        if path.name != keep and _delete(path):
            deleted.append(path.name)
            del sizes[path]
    return deleted


def _delete(path: Path) -> bool:
    """Delete an entry, whole or interrupted, unless it is in use; return whether it is gone."""
    name = path.name.removesuffix(".deleted").removesuffix(".partial")
    try:
        with _open_lock(path.with_name(f"{name}.lock")) as lock:
            if _locked_by_others(lock):
                return False
            # Renamed first, so that no reader ever sees half an entry.
            doomed = path.with_name(f"{name}.deleted")
            if doomed != path:
                shutil.rmtree(doomed, ignore_errors=True)
                path.rename(doomed)
            shutil.rmtree(doomed)
    except PermissionError:
        return False
    return True


def _remove_interrupted(root: Path) -> list[Leftover]:
    """Remove what processes that were killed had begun to make or to delete; return that."""
    found = [path for path in root.iterdir() if path.suffix in (".partial", ".deleted")]
    sizes = [Leftover(path, _bytes_in(path)) for path in found]
    return [each for each in sizes if _delete(each.path)]


def _bytes_beside(problems: Path) -> int:
    """Return the bytes in scratch that are no cached problems: copies of running fits."""
    return sum(bytes_in(path) for path in problems.parent.iterdir() if path != problems)


def _open_lock(path: Path) -> IO[str]:
    """Open an entry's lock file; that of another user, which cannot be written, for reading."""
    try:
        return path.open("a")
    except PermissionError:
        return path.open("r")


def _locked_by_others(lock: IO[str]) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    return False


def _is_whole(folder: Path) -> bool:
    return (folder / "split.json").is_file()


def _make(spec: FitSpec, source: dict[str, Any], folder: Path) -> None:
    from bench_core.checks import check_held_out, check_xy
    from bench_core.data import Problem, make, random_split, run_split

    partial = folder.with_name(f"{folder.name}.partial")
    shutil.rmtree(partial, ignore_errors=True)  # of a process that was killed
    partial.mkdir()
    try:
        size = problem_shape(spec)
        # Whole and split, for a moment.
        check_space(partial / size.name, 2 * size.nbytes, f"set {LOCATION} to a larger disk")
        if "scale" in source:
            whole = make(
                spec.problem,
                scale=spec.scale,
                subject=spec.subject,
                seed=spec.seed,
                dtype=spec.dtype,
                folder=partial / "whole",
            )
        else:
            given = Problem.open(spec.problem)
            check_xy(given.X, given.Y)
            whole = _as_dtype(given, spec.dtype)
        split = run_split(whole) if spec.split == "run" else random_split(whole, seed=spec.seed)
        train, test = split.apply(whole, partial)
        check_held_out(test.t)
        facts = {
            "kind": split.kind,
            "warning": split.warning,
            "t_train": train.t,
            "t_test": test.t,
            "fingerprint": hashlib.sha256(json.dumps(source, sort_keys=True).encode()).hexdigest()[
                :16
            ],
        }
        shutil.rmtree(partial / "whole", ignore_errors=True)
        write_json(partial / "split.json", facts)
        partial.rename(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _as_dtype(problem: Problem, dtype: str) -> Problem:
    from bench_core.checks import check_memory
    from bench_core.data import Problem

    if problem.dtype == dtype:
        return problem
    check_memory(problem.nbytes, f"{problem.name} as {dtype}")
    return Problem(
        problem.X.astype(dtype),
        problem.Y.astype(dtype),
        problem.runs,
        name=problem.name,
        target_names=problem.target_names,
        meta=problem.meta,
    )


def _source(spec: FitSpec) -> dict[str, Any]:
    """Return all that fixes the numbers of the case's split problem."""
    size = problem_shape(spec)
    source: dict[str, Any] = {
        "name": size.name,
        "dtype": spec.dtype,
        "split": spec.split,
        "seed": spec.seed,
    }
    if size.scale is None:
        folder = Path(spec.problem)
        source["files"] = [
            [path.name, path.stat().st_size, path.stat().st_mtime_ns]
            for path in sorted(folder.iterdir())
        ]
    else:
        source |= {"scale": size.scale, "subject": size.subject, "generator": _generator()}
    return source


def _generator() -> str:
    """Return a digest of the code that makes and splits problems."""
    digest = hashlib.sha256()
    for module in sorted(files("bench_core.data").iterdir(), key=lambda path: path.name):
        if module.name.endswith(".py"):
            digest.update(module.read_bytes())
    return digest.hexdigest()[:16]


def _bytes_in(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
