"""Calibration: what one machine takes for each kind of work, as a typed JSON file.

It is measured by ``ridgebench calibrate``, fitted to recorded measurements, or fitted to published
times. `bench_core.scaling.prediction` reads it.
"""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import Field
from pydantic.dataclasses import dataclass

from bench_core.errors import unknown
from bench_core.records import codec
from bench_core.records.scalars import STRICT, Count, Positive, Seconds
from bench_core.scaling.operations import Kernel

SCHEMA_CALIBRATION: Final = "ridgebench-calibration/1"

CALIBRATIONS = Path(".asv", "calibration")
"""Folder of a project to which `ridgebench calibrate` writes, a file for each BLAS."""

Rate = Annotated[float, Field(gt=0)]

SHIPPED: dict[str, str] = {"xeon-6130-mkl": "mkl", "xeon-6130-openblas": "openblas"}
"""Calibrations that come with the package, and their BLAS."""


@dataclass(frozen=True, config=STRICT)
class KernelSpeed:
    """Rate of one kernel.

    size : smallest dimension of a product whose others are large; order of a decomposition.

    Examples
    --------
    >>> KernelSpeed("gemm", "float64", threads=1, size=1024, gflops=50.0).gflops
    50.0
    """

    kernel: Kernel
    dtype: Literal["float64", "float32"]
    threads: Positive
    size: Positive
    gflops: Rate


@dataclass(frozen=True, config=STRICT)
class MemorySpeed:
    """Rate at which each of some processes of one machine moves bytes, all at the same time.

    kind : "stream" between arrays in use, "fresh" into new memory, "pages" the same without huge
    pages, "file" to the shared folder. array_bytes : size of one array, on which it depends what
    caches and the allocator keep; None for larger than these.

    Examples
    --------
    >>> MemorySpeed("stream", processes=2, gbytes_s=8.5).processes
    2
    """

    kind: Literal["stream", "fresh", "pages", "file"]
    processes: Positive
    gbytes_s: Rate
    array_bytes: Positive | None = None


@dataclass(frozen=True, config=STRICT)
class TaskTime:
    """Seconds that a task of Dask takes on its node beside its work, with so many threads."""

    threads: Positive
    seconds: Seconds


@dataclass(frozen=True, config=STRICT)
class FitOverhead:
    """Time of a strategy's fit of next to nothing: what does not depend on the size of arrays.

    nodes, threads : that it ran on. seconds : of the fit. factor : that time over what the
    calibration's tasks, rounds, messages and calls of ``fit`` come to.

    Examples
    --------
    >>> FitOverhead("bmor", nodes=2, threads=1, seconds=0.03, factor=0.8).factor
    0.8
    """

    strategy: str
    nodes: Positive
    threads: Positive
    seconds: Seconds
    factor: Rate


@dataclass(frozen=True, config=STRICT)
class CheckedFit:
    """A fit that was timed beside the kernels, for the spread alone."""

    strategy: str
    t: Positive
    p: Positive
    s: Positive
    threads: Positive
    seconds: Seconds


@dataclass(frozen=True, config=STRICT)
class CalibratedBlas:
    """The library whose kernels were timed."""

    name: str
    version: str | None
    architecture: str | None

    @property
    def text(self) -> str:
        """The library with its version and kernels, as far as they are known."""
        return " ".join(word for word in (self.name, self.version, self.architecture) if word)


@dataclass(frozen=True, config=STRICT)
class CalibratedMachine:
    """The machine that was calibrated.

    cores, memory_bytes : of one node's machine. nodes : machines that there are.
    """

    name: str | None
    cpu: str | None
    cores: Positive
    memory_bytes: Positive
    nodes: Positive = 1


@dataclass(frozen=True, eq=False, config=STRICT)
class Calibration:
    """Speeds of one machine and one BLAS.

    Parameters
    ----------
    source : "measured", "records" or "published".
    kernels, memory : at least one rate of each kind; others are interpolated.
    network_gbytes_s, latency_s : between nodes.
    tasks : of Dask on a node. message_s : of the process that hands a task out.
    round_s : until the driver has the answer of a node that had nothing to do.
    fit_s : of a library's ``fit``, whatever the size. start_s : of a cluster of one node;
    start_node_s : of every further node.
    spread : standard deviation of log(measured / predicted), of so many fits (``checked``).
    notes : what was left out or assumed.
    overheads : of strategies, where they were timed; elsewhere the counted tasks and rounds hold.
    checks : the fits of the spread, where `ridgebench calibrate` timed them.

    Examples
    --------
    >>> table = read_calibration("xeon-6130-mkl")
    >>> table.machine.cores, table.blas.name
    (32, 'mkl')
    """

    schema: Literal["ridgebench-calibration/1"]
    source: Literal["measured", "records", "published"]
    machine: CalibratedMachine
    blas: CalibratedBlas
    kernels: Annotated[tuple[KernelSpeed, ...], Field(min_length=1)]
    memory: Annotated[tuple[MemorySpeed, ...], Field(min_length=1)]
    network_gbytes_s: Rate
    latency_s: Seconds
    tasks: Annotated[tuple[TaskTime, ...], Field(min_length=1)]
    message_s: Seconds
    round_s: Seconds
    fit_s: Seconds
    start_s: Seconds
    start_node_s: Seconds
    spread: Annotated[float, Field(ge=0)]
    checked: Count
    versions: dict[str, str]
    started: str | None
    seconds: Seconds
    notes: tuple[str, ...] = ()
    overheads: tuple[FitOverhead, ...] = ()
    checks: tuple[CheckedFit, ...] = ()


def read_calibration(name: str | Path) -> Calibration:
    """Return the calibration in a file, or one that comes with the package, by its name.

    Raises
    ------
    UnknownNameError : no such file or name.
    InputError : the file is no calibration.
    """
    path = Path(name)
    if path.is_file():
        return codec.read(Calibration, path)
    if str(name) in SHIPPED:
        folder: Any = files("bench_core.scaling") / "published"
        text = (folder / f"{name}.json").read_text(encoding="utf-8")
        return codec.from_json(Calibration, text, str(name))
    raise unknown("calibration", str(name), SHIPPED)
