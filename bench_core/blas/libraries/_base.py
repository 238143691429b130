"""Description of a BLAS: the interface that each file of this folder implements."""

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
    """Properties that a loaded library reports; None if it does not."""

    version: str | None
    architecture: str | None
    threading_layer: str | None
    threads: int | None


class BlasLibrary(ABC):
    """One BLAS: how to recognise it, find it, call it and set it up.

    Attributes
    ----------
    name : its name on the command line and in records.
    title : its name in sentences.
    conda_spec : what to give ``conda install`` for it.
    install_hint : how to get it where conda is not used.
    thread_variables : environment variables that hold its thread count.
    fixed_variables : what else must be set for that count to be kept to.
    kernel_variable : environment variable that chooses its kernels, if there is one.
    lapack : whether it offers LAPACK too.
    priority : libraries of higher priority are tried first when a file is to be recognised.
    kernel_levels : its core types, best first, with the instruction set each is written for.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    conda_spec: ClassVar[str]
    install_hint: ClassVar[str]
    thread_variables: ClassVar[tuple[str, ...]] = ()
    fixed_variables: ClassVar[Mapping[str, str]] = {}
    kernel_variable: ClassVar[str | None] = None
    kernel_levels: ClassVar[Mapping[str, str]] = {}
    lapack: ClassVar[bool] = True
    priority: ClassVar[int] = 0

    @abstractmethod
    def recognises(self, path: Path, exported: Collection[str]) -> bool:
        """Say whether the library at ``path``, which exports those names, is this one."""

    @abstractmethod
    def candidates(self) -> Iterable[Path]:
        """Yield where this library may lie on this system, best first (existing files only).

        Builds with 32-bit and with 64-bit integers may both be among them.
        """

    def is_part(self, file: Path, library: Path) -> bool:
        """Say whether the mapped ``file`` is the library that ``library`` names, or part of it."""
        return file == library.resolve()

    def conflict(self, environment: Mapping[str, str]) -> str | None:
        """Return why this library answers wrongly with those variables set; None if it does not."""
        return None

    def integer_bits(self, path: str) -> int | None:
        """Return the integer width that the loaded library at ``path`` states, if it does."""
        return None

    def kernels_in(self, exported: Collection[str]) -> frozenset[str]:
        """Return the core types that a build which exports those names holds kernels for."""
        return frozenset()

    def kernel_order(self, processor: Cpu) -> list[str]:
        """Return the core types that ``processor`` can run, best first."""
        able = set(processor.levels())
        return [core for core, level in self.kernel_levels.items() if level in able]

    def rank(self, core: str) -> int:
        """Rank the kernels for ``core`` (any case) by instruction set; equal ranks are as good.

        What AVX-512's later extensions add (bfloat16, AMX) is of no use to single and double
        precision, so they rank with plain AVX-512.
        """
        levels = {name.upper(): level for name, level in self.kernel_levels.items()}
        return _RANKS.get(levels.get(core.upper(), ""), 0)

    def runtime(self, path: str, mapped: Collection[str], info: Mapping[str, Any]) -> Runtime:
        """Return what it says of itself, loaded in this process from ``path``.

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
    """Yield those of ``paths`` that are there."""
    return (path for path in paths if path.exists())


def system_files(*names: str) -> Iterable[Path]:
    """Yield the files of those names in the folders where Linux distributions keep libraries."""
    multiarch = sysconfig.get_config_var("MULTIARCH") or f"{platform.machine()}-linux-gnu"
    folders = (Path("/usr/lib", multiarch), Path("/usr/lib64"), Path("/usr/lib"))
    return existing(folder / name for name in names for folder in folders)
