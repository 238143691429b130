"""Interface of a BLAS library, implemented by each module of this package."""

from __future__ import annotations

import platform
import sysconfig
from abc import ABC, abstractmethod
from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

from bench_core.machine import Cpu

_RANKS = {"avx": 1, "avx2": 2, "avx512": 3, "avx512_bf16": 3, "amx_bf16": 3}


class Runtime(NamedTuple):
    """Properties that a loaded library reports; None where it reports none.

    ``backend`` is the library that a wrapper calls, "unknown" where it does not say.

    Examples
    --------
    >>> Runtime("0.3.30", "Haswell", "pthreads", 2).threads
    2
    """

    version: str | None
    architecture: str | None
    threading_layer: str | None
    threads: int | None
    backend: str | None = None


class BlasLibrary(ABC):
    """One BLAS: how to recognise it, find it, call it and set it up.

    Attributes
    ----------
    name : its name on the command line and in records.
    title : its name in sentences.
    conda_spec, anaconda_spec : argument of ``conda install`` for it, from conda-forge and from
        Anaconda's own channel; empty without one.
    install_hint : how to install it without conda.
    thread_variables : environment variables of its thread count.
    fixed_variables : further variables without which it may use fewer threads.
    kernel_variable : environment variable that selects its kernels, None without one.
    may_choose_low : whether it may choose lower kernels than the processor can run.
    lapack : whether it has LAPACK too.
    priority : libraries of higher priority are tried first in `identify`.
    kernel_levels : its core types, best first, with the instruction set of each.

    Examples
    --------
    >>> from pathlib import Path
    >>> from bench_core.blas.libraries import LIBRARIES
    >>> mkl = LIBRARIES.get("mkl")
    >>> mkl.recognises(Path("libmkl_rt.so.2"), []), mkl.thread_variables
    (True, ('MKL_NUM_THREADS',))
    """

    name: ClassVar[str]
    title: ClassVar[str]
    conda_spec: ClassVar[str]
    anaconda_spec: ClassVar[str] = ""
    install_hint: ClassVar[str]
    thread_variables: ClassVar[tuple[str, ...]] = ()
    fixed_variables: ClassVar[Mapping[str, str]] = {}
    kernel_variable: ClassVar[str | None] = None
    may_choose_low: ClassVar[bool] = False
    kernel_levels: ClassVar[Mapping[str, str]] = {}
    lapack: ClassVar[bool] = True
    priority: ClassVar[int] = 0

    @abstractmethod
    def recognises(self, path: Path, exported: Collection[str]) -> bool:
        """Return whether the library at ``path``, which exports those names, is this one."""

    @abstractmethod
    def candidates(self) -> Iterable[Path]:
        """Yield the existing files of this library on this system, best first.

        Builds with 32-bit and with 64-bit integers may both be among them.
        """

    def is_part(self, file: Path, library: Path) -> bool:
        """Return whether the mapped ``file`` is the library ``library`` or a part of it."""
        return file == library.resolve()

    def conflict(self, environment: Mapping[str, str]) -> str | None:
        """Return why this library gives wrong results with those variables, None if it does not."""
        return None

    def integer_bits(self, path: str) -> int | None:
        """Return the integer width that the loaded library at ``path`` reports, None without."""
        return None

    def kernels_in(self, exported: Collection[str]) -> frozenset[str]:
        """Return the core types whose kernels are in a build that exports those names."""
        return frozenset()

    def kernel_order(self, processor: Cpu) -> list[str]:
        """Return the core types that ``processor`` can run, best first."""
        able = set(processor.levels())
        return [core for core, level in self.kernel_levels.items() if level in able]

    def rank(self, core: str) -> int:
        """Return the rank of the kernels for ``core`` (any case) by instruction set.

        The later extensions of AVX-512 (bfloat16, AMX) do not help single and double precision, so
        they rank with plain AVX-512.
        """
        levels = {name.upper(): level for name, level in self.kernel_levels.items()}
        return _RANKS.get(levels.get(core.upper(), ""), 0)

    def runtime(self, path: str, mapped: Collection[str], info: Mapping[str, Any]) -> Runtime:
        """Return the properties that it reports, loaded in this process from ``path``.

        ``mapped`` holds every file mapped into the process, ``info`` threadpoolctl's entry for
        ``path`` (or nothing).
        """
        return Runtime(
            info.get("version"),
            info.get("architecture"),
            info.get("threading_layer"),
            info.get("num_threads"),
        )


def existing(paths: Iterable[Path]) -> Iterable[Path]:
    """Yield the ``paths`` that exist."""
    return (path for path in paths if path.exists())


def system_files(*names: str) -> Iterable[Path]:
    """Yield the files of those names in the folders where Linux distributions keep libraries."""
    multiarch = sysconfig.get_config_var("MULTIARCH") or f"{platform.machine()}-linux-gnu"
    folders = (Path("/usr/lib", multiarch), Path("/usr/lib64"), Path("/usr/lib"))
    return existing(folder / name for name in names for folder in folders)
