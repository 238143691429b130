"""Plan of a relinking: the new name and library of every symbol."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench_core.blas import elf
from bench_core.blas.libraries import LIBRARIES
from bench_core.blas.probe import Probe, UnusableLibraryError, probe
from bench_core.blas.routines import Style, missing
from bench_core.blas.wheels import Wheel


@dataclass(frozen=True)
class FilePlan:
    """Changes of one extension module.

    Attributes
    ----------
    name : its path below the folder of packages.
    bundled : its present DT_NEEDED entry.
    renames : old name to new name of every symbol that moves.
    kept : symbols that stay with the bundled library.
    """

    name: str
    bundled: str
    renames: dict[str, str]
    kept: tuple[str, ...]


@dataclass(frozen=True)
class PackagePlan:
    """Changes of one package.

    Attributes
    ----------
    wheel : the package.
    library : file of the library that its calls will go to.
    name : name of that BLAS.
    files : its extension modules; those without renames are unchanged.
    reasons : names of the routines that stay with the bundled library, by reason; sorted.
    """

    wheel: Wheel
    library: Path
    name: str
    files: tuple[FilePlan, ...]
    reasons: dict[str, list[str]]


LACKS_LAPACK = "it offers BLAS without LAPACK"
COMPLEX_BY_ARGUMENT = "it returns complex numbers by another calling convention"


def find(target: str) -> list[Path]:
    """Return the candidate files of ``target``: the name of a library, or a path.

    Raises `UnknownNameError` for an unknown name, `UnusableLibraryError` where the library
    is not installed.
    """
    if "/" in target or Path(target).is_file():
        return [Path(target).absolute()]
    library = LIBRARIES.get(target)
    files = list({path.resolve(): path for path in reversed(list(library.candidates()))}.values())
    if not files:
        raise UnusableLibraryError(
            f"{library.title} is not installed on this system: {library.install_hint}"
        )
    return files[::-1]


def make(wheel: Wheel, files: Sequence[Path]) -> PackagePlan:
    """Return the plan that points ``wheel`` at the first of ``files`` that fits it.

    Raises `UnusableLibraryError` with what is missing: the integer width, or symbols by name.
    """
    probes = [probe(path) for path in files]
    for found in probes:
        styles = [style for style, bits in found.bits.items() if bits == wheel.bits]
        if styles:
            return _plan(wheel, found, styles)
    have = "; ".join(f"{p.path} takes {_widths(p)}-bit ones" for p in probes)
    hint = LIBRARIES.get(probes[0].name).install_hint
    raise UnusableLibraryError(
        f"{wheel.package} {wheel.version} passes {wheel.bits}-bit integers to its BLAS; {have}. "
        f"A build for {wheel.bits}-bit integers is needed ({hint}); `--only` with the other "
        "package relinks that one alone"
    )


def _plan(wheel: Wheel, found: Probe, styles: list[Style]) -> PackagePlan:
    library = LIBRARIES.get(found.name)
    exported = elf.read(found.path).exported
    wanted = {r for r in wheel.routines if r.is_blas or library.lapack}
    style = min(styles, key=lambda s: len(missing(wanted, s, exported)))
    lacking = missing(wanted, style, exported)
    if lacking:
        raise UnusableLibraryError(
            f"{found.path} lacks {len(lacking)} of the {len(wanted)} symbols that "
            f"{wheel.package} {wheel.version} calls: {', '.join(lacking)}"
        )
    by_value = found.by_value.get(style, False)
    reasons: dict[str, set[str]] = {}
    plans = []
    for caller in wheel.callers:
        renames, kept = {}, []
        for symbol, routine in caller.symbols.items():
            if routine.complex_function and not by_value:
                kept.append(symbol)
                reasons.setdefault(COMPLEX_BY_ARGUMENT, set()).add(routine.name)
            elif routine not in wanted:
                kept.append(symbol)
                reasons.setdefault(LACKS_LAPACK, set()).add(routine.name)
            else:
                renames[symbol] = style.spell(routine)
        plans.append(FilePlan(caller.name, caller.bundled, renames, tuple(sorted(kept))))
    explained = {reason: sorted(names) for reason, names in reasons.items()}
    return PackagePlan(wheel, found.path, found.name, tuple(plans), explained)


def _widths(found: Probe) -> str:
    return " and ".join(str(bits) for bits in sorted(set(found.bits.values())))
