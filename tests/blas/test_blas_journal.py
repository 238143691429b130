"""The journal of replaced files."""

import os

import pytest

from bench_core.blas import journal
from bench_core.blas.journal import Choice, Entry
from bench_core.blas.wheels import digest


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "numpy").mkdir()
    (tmp_path / "numpy/a.so").write_bytes(b"original")
    return tmp_path


def test_what_is_written_is_read(folder):
    kept = journal.Journal(folder, phase="relinked")
    kept.packages["numpy"] = Choice("mkl", "mkl", "/x/libmkl_rt.so.3", {"why": ["zdotu"]})
    kept.files["numpy/a.so"] = Entry("1", ["2"], "3")
    kept.write()
    assert journal.read(folder) == kept
    assert journal.read(folder / "elsewhere") == journal.Journal(folder / "elsewhere")


def test_the_original_is_kept_with_its_mode(folder):
    live = folder / "numpy/a.so"
    live.chmod(0o754)
    kept = journal.Journal(folder)
    assert kept.keep("numpy/a.so") == digest(live)
    copy = kept.original("numpy/a.so")
    assert copy.read_bytes() == b"original"
    assert copy.stat().st_mode == live.stat().st_mode
    assert list(copy.parent.iterdir()) == [copy]


@pytest.mark.parametrize(
    ("content", "remembered"),
    [(b"original", True), (b"relinked", True), (b"older relinked", True), (b"upgraded", False)],
)
def test_a_reinstalled_file_is_forgotten(folder, content, remembered):
    kept = journal.Journal(folder)
    live = folder / "numpy/a.so"
    digests = []
    for text in (b"relinked", b"older relinked"):
        live.write_bytes(text)
        digests.append(digest(live))
    live.write_bytes(b"original")
    kept.files["numpy/a.so"] = Entry(kept.keep("numpy/a.so"), digests, "")
    live.write_bytes(content)
    kept.forget_reinstalled()
    assert ("numpy/a.so" in kept.files) is remembered
    assert kept.original("numpy/a.so").exists() is remembered


def test_a_removed_file_is_forgotten(folder):
    kept = journal.Journal(folder)
    kept.files["numpy/a.so"] = Entry(kept.keep("numpy/a.so"), ["x"], "")
    os.remove(folder / "numpy/a.so")
    kept.forget_reinstalled()
    assert kept.files == {}
