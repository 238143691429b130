"""FlexiBLAS: a wrapper that passes every call to a BLAS chosen when it is loaded."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from pathlib import Path
from typing import Any

from bench_core.blas import elf
from bench_core.blas.libraries._base import BlasLibrary, Runtime, system_files

_OWN = "flexiblas_current_backend"


class FlexiBlas(BlasLibrary):
    """FlexiBLAS: the library behind it is named in ``backend``.

    The variable FLEXIBLAS and its configuration files say which library that is. They are left
    as they are.
    """

    name = "flexiblas"
    title = "FlexiBLAS"
    conda_spec = ""
    install_hint = "on Fedora: dnf install flexiblas flexiblas-openblas-openmp"
    priority = 30

    def recognises(self, path: Path, exported: Collection[str]) -> bool:
        return _OWN in exported

    def candidates(self) -> Iterable[Path]:
        return system_files("libflexiblas.so.3", "libflexiblas64.so.3")

    def runtime(self, path: str, mapped: Collection[str], info: Mapping[str, Any]) -> Runtime:
        behind = info.get("current_backend")
        return Runtime(
            info.get("version"),
            None,
            info.get("threading_layer"),
            info.get("num_threads"),
            _library_behind(mapped, behind),
        )


def _library_behind(mapped: Collection[str], behind: str | None) -> str:
    """Return the library that FlexiBLAS calls: as identified, else by FlexiBLAS's own name."""
    from bench_core.blas.libraries import all_libraries

    others = [one for one in all_libraries() if one.name not in ("flexiblas", "netlib")]
    found = set()
    for file in mapped:
        if ".so" not in Path(file).name or Path(file).parent.name.endswith(".libs"):
            continue
        try:
            exported = elf.read(file).exported
        except (OSError, elf.NotElfError):
            continue
        found |= {one.name for one in others if one.recognises(Path(file), exported)}
    name = (behind or "").lower()
    named = sorted(one for one in found if one in name)
    return named[0] if named else name or "unknown"


LIBRARY = FlexiBlas()
