"""Builds of a BLAS that are known to crash or to be wrong, from ``known_bad.toml``.

One list serves the doctor, `blas show`, the checks before a fit and ``docs/blas.md``. An entry
names library, release, kernels, routines and the size from which it happens, with its sources.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import lru_cache
from importlib import resources
from typing import Any, Literal

from bench_core.blas.report import BlasReport, Library
from bench_core.errors import ResourceError
from bench_core.machine import Cpu


class KnownBadBuildError(ResourceError):
    """The BLAS that is loaded is known to fail on work of this size; the message has the remedy.

    Examples
    --------
    >>> KnownBadBuildError("OpenBLAS 0.3.34: take SkylakeX kernels").exit_code
    2
    """


@dataclass(frozen=True)
class KnownBad:
    """One entry of ``known_bad.toml``, which explains the fields.

    Examples
    --------
    >>> any("0.3.34" in entry.versions for entry in known_bad())
    True
    """

    library: str
    versions: tuple[str, ...]
    kernels: tuple[str, ...]
    routines: tuple[str, ...]
    dimension: Literal["inner", "order"]
    least: int
    threads: int
    effect: str
    seen: str
    remedy: str
    sources: tuple[str, ...]
    vendors: tuple[str, ...] = ()
    features: tuple[str, ...] = ()

    @property
    def ordinary(self) -> bool:
        """Whether it happens on one thread and at sizes that any fit reaches."""
        return self.threads == 1 and self.least <= 1024

    def describe(self) -> str:
        """Return what fails, from which size on, and what happens."""
        what = "an inner dimension" if self.dimension == "inner" else "an order"
        threads = f" on {self.threads} threads or more" if self.threads > 1 else ""
        return (
            f"{', '.join(self.routines)} from {what} of {self.least:,} on{threads}: {self.effect}"
        )


@lru_cache(maxsize=1)
def known_bad() -> tuple[KnownBad, ...]:
    """Return the entries of the list, in its order."""
    text = resources.files("bench_core.blas").joinpath("known_bad.toml").read_text("utf-8")
    rows: list[dict[str, Any]] = tomllib.loads(text)["build"]
    found = []
    for row in rows:
        lists = {name: tuple(value) for name, value in row.items() if isinstance(value, list)}
        found.append(KnownBad(**(row | lists)))
    return tuple(found)


def bad_builds(found: Library, processor: Cpu, *, kernels: str | None = None) -> list[KnownBad]:
    """Return the entries that fit a library as it runs on ``processor``, at any size.

    Parameters
    ----------
    kernels : core type to look for in place of the one that runs.
    """
    core = (kernels or found.architecture or "").upper()
    version = found.version or ""
    return [
        entry
        for entry in known_bad()
        if entry.library == found.name
        and core in entry.kernels
        and any(version == one or version.startswith(f"{one}.") for one in entry.versions)
        and (not entry.vendors or processor.vendor in entry.vendors)
        and set(entry.features) <= set(processor.features)
    ]


def bad_entries(report: BlasReport, processor: Cpu) -> list[tuple[str, KnownBad]]:
    """Return package and entry of everything that is known of numpy's and scipy's libraries."""
    pairs = (("numpy", report.numpy), ("scipy", report.scipy))
    return [(package, one) for package, found in pairs for one in bad_builds(found, processor)]


def refuse_known_bad(
    libraries: dict[str, Library], processor: Cpu, *, inner: int, order: int, threads: int
) -> None:
    """Raise `KnownBadBuildError` where a library is known to fail on work of this size.

    Parameters
    ----------
    libraries : by the package that calls them.
    inner : the largest summed dimension of a product.
    order : the largest order of a square result, such as a Gram matrix; 0 for none.
    threads : of each process.
    """
    sizes = {"inner": inner, "order": order}
    for package, found in libraries.items():
        for entry in bad_builds(found, processor):
            if sizes[entry.dimension] >= entry.least and threads >= entry.threads:
                remedy = entry.remedy[0].upper() + entry.remedy[1:]
                raise KnownBadBuildError(
                    f"{package}'s {found.name} {found.version} with {found.architecture} kernels "
                    f"is known to fail here ({entry.dimension} {sizes[entry.dimension]:,}, "
                    f"{threads} threads): {entry.describe()}. {remedy} "
                    f"(`--kernels NAME` chooses kernels); see {entry.sources[0]}"
                )
