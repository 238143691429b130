"""Dynamic-linking information of ELF files, as far as relinking needs it.

Symbol tables and relocations are unpacked with `struct`, since a BLAS exports tens of thousands
of names; section headers and the dynamic section are read by pyelftools.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from bench_core.errors import RidgebenchError

_SYMBOL = struct.Struct("<IBBHQQ")
_RELA = struct.Struct("<QQq")
_GLOBAL, _WEAK, _GNU_UNIQUE = 1, 2, 10


class NotElfError(RidgebenchError):
    """A file that is not a 64-bit little-endian ELF object."""


@dataclass(frozen=True)
class ElfFile:
    """Dynamic-linking information of one shared object.

    Attributes
    ----------
    needed : the names of its DT_NEEDED entries, in search order.
    soname : its own DT_SONAME, if any.
    search : its DT_RPATH and DT_RUNPATH folders, unexpanded.
    undefined : names it imports, each with its index in the symbol table.
    exported : names it exports.
    first_load : (file offset, virtual address) of its first PT_LOAD segment.
    """

    path: Path
    needed: tuple[str, ...]
    soname: str | None
    search: tuple[str, ...]
    undefined: dict[str, int]
    exported: frozenset[str]
    first_load: tuple[int, int]

    def slots(self, names: set[str]) -> dict[str, int]:
        """Return, for each of ``names``, the virtual address where the linker writes its address.

        Names without a relocation are omitted.
        """
        wanted = {index: name for name, index in self.undefined.items() if name in names}
        found: dict[str, int] = {}
        for table in _relocations(self.path):
            for offset, info, _ in _RELA.iter_unpack(table):
                name = wanted.get(info >> 32)
                if name is not None:
                    found.setdefault(name, offset)
        return found


def read(path: Path | str) -> ElfFile:
    """Return the information of the shared object at ``path``; raise `NotElfError` otherwise."""
    status = Path(path).stat()
    return _read(Path(path), status.st_mtime_ns, status.st_size)


@lru_cache(maxsize=64)
def _read(path: Path, modified: int, size: int) -> ElfFile:
    from elftools.common.exceptions import ELFError
    from elftools.elf.elffile import ELFFile

    try:
        with path.open("rb") as stream:
            elf = ELFFile(stream)
            if elf.elfclass != 64 or not elf.little_endian:
                raise NotElfError(f"{path} is not a 64-bit little-endian ELF object")
            dynamic = elf.get_section_by_name(".dynamic")
            symbols = elf.get_section_by_name(".dynsym")
            strings = elf.get_section_by_name(".dynstr")
            if dynamic is None or symbols is None or strings is None:
                raise NotElfError(f"{path} is not a shared object: it has no dynamic section")
            tags = [(tag.entry.d_tag, tag) for tag in dynamic.iter_tags()]
            loads = [s for s in elf.iter_segments() if s["p_type"] == "PT_LOAD"]
            undefined, exported = _symbols(symbols.data(), strings.data())
    except ELFError as error:
        raise NotElfError(f"{path} is not a readable ELF object: {error}") from None
    return ElfFile(
        path=path,
        needed=tuple(tag.needed for kind, tag in tags if kind == "DT_NEEDED"),
        soname=next((tag.soname for kind, tag in tags if kind == "DT_SONAME"), None),
        search=tuple(
            getattr(tag, kind[3:].lower())
            for kind, tag in tags
            if kind in ("DT_RPATH", "DT_RUNPATH")
        ),
        undefined=undefined,
        exported=exported,
        first_load=(loads[0]["p_offset"], loads[0]["p_vaddr"]),
    )


def _symbols(table: bytes, strings: bytes) -> tuple[dict[str, int], frozenset[str]]:
    undefined: dict[str, int] = {}
    exported: set[str] = set()
    for index, (name, info, _, section, _, _) in enumerate(_SYMBOL.iter_unpack(table)):
        if name == 0 or info >> 4 not in (_GLOBAL, _WEAK, _GNU_UNIQUE):
            continue
        text = strings[name : strings.index(b"\0", name)].decode("ascii", "replace")
        if section == 0:
            undefined[text] = index
        else:
            exported.add(text)
    return undefined, frozenset(exported)


def _relocations(path: Path) -> list[bytes]:
    from elftools.elf.elffile import ELFFile

    with path.open("rb") as stream:
        elf = ELFFile(stream)
        return [s.data() for s in elf.iter_sections() if s["sh_type"] == "SHT_RELA"]
