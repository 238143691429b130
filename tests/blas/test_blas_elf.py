"""The ELF reader against pyelftools' own, slower walk over the same files."""

import ctypes
from pathlib import Path

import pytest
import scipy.linalg._fblas as fblas
from elftools.elf.elffile import ELFFile

from bench_core.blas import elf
from bench_core.blas.detection import bound_files


def truth(path):
    with open(path, "rb") as stream:
        file = ELFFile(stream)
        symbols = [s for s in file.get_section_by_name(".dynsym").iter_symbols() if s.name]
        wanted = [s for s in symbols if s["st_info"]["bind"] != "STB_LOCAL"]
        undefined = {s.name for s in wanted if s["st_shndx"] == "SHN_UNDEF"}
        exported = {s.name for s in wanted if s["st_shndx"] != "SHN_UNDEF"}
        slots = {}
        for section in file.iter_sections():
            if section["sh_type"] == "SHT_RELA":
                for relocation in section.iter_relocations():
                    name = symbols_name(file, relocation["r_info_sym"])
                    slots.setdefault(name, set()).add(relocation["r_offset"])
    return undefined, exported, slots


def symbols_name(file, index):
    return file.get_section_by_name(".dynsym").get_symbol(index).name


def test_symbols_and_slots_are_those_of_pyelftools():
    undefined, exported, slots = truth(fblas.__file__)
    found = elf.read(fblas.__file__)
    assert set(found.undefined) == undefined
    assert set(found.exported) == exported
    for name, slot in found.slots(undefined).items():
        assert slot in slots[name]
    assert set(found.slots(undefined)) == undefined & set(slots)


def test_a_file_that_is_no_shared_object_is_named(tmp_path):
    text = tmp_path / "library.so"
    text.write_text("no library at all")
    with pytest.raises(elf.NotElfError, match=r"library\.so"):
        elf.read(text)
    text.write_bytes(Path(fblas.__file__).read_bytes()[:100])
    with pytest.raises(elf.NotElfError, match=r"library\.so"):
        elf.read(text)


def test_bound_files_agree_with_the_dynamic_linker():
    """The address behind a C library function is where dlsym finds it."""

    class Found(ctypes.Structure):
        _fields_ = (("file", ctypes.c_char_p), ("a", ctypes.c_void_p), ("b", ctypes.c_char_p))

    name = next(n for n in ("free", "memcpy", "malloc") if n in elf.read(fblas.__file__).undefined)
    found = bound_files(fblas.__file__, [name, "no_such_function"])
    process = ctypes.CDLL(None)
    information = ctypes.create_string_buffer(ctypes.sizeof(ctypes.c_void_p) * 4)
    address = ctypes.cast(getattr(process, name), ctypes.c_void_p)
    assert process.dladdr(address, information)
    file = ctypes.cast(information, ctypes.POINTER(ctypes.c_char_p))[0].decode()
    assert {n: Path(f) for n, f in found.items()} == {name: Path(file).resolve()}
