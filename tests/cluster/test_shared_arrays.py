"""Arrays by file: the same values, nothing copied that is a file already, nothing left behind."""

import collections
import gc
import os
import pickle
import re
import shutil

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from bench_core.cluster import RowFile, arrays, share_array
from bench_core.errors import InputError, ResourceError


@pytest.fixture
def scratch(tmp_path):
    folder = tmp_path / "scratch"
    folder.mkdir()
    return folder


@pytest.fixture
def mapped(tmp_path):
    """A mapped file of 200 × 30 numbers; large enough to start beyond one page."""
    path = tmp_path / "values.npy"
    np.save(path, np.random.default_rng(0).standard_normal((200, 30)))
    return np.load(path, mmap_mode="r")


def replace(mapped, values):
    """Put another file in the place of the one that is mapped."""
    other = mapped.filename.with_suffix(".new.npy")
    np.save(other, values)
    os.replace(other, mapped.filename)


def test_array_in_memory_is_written_once_and_removed_with_its_reference(scratch):
    values = np.arange(12.0).reshape(3, 4)
    ref = share_array(values, scratch)
    assert [file.name for file in scratch.iterdir()] == [os.path.basename(ref.path)]
    np.testing.assert_array_equal(ref.open(), values)
    assert ref.nbytes == values.nbytes
    del ref
    gc.collect()
    assert list(scratch.iterdir()) == []


@pytest.mark.parametrize(
    "part",
    [
        lambda a: a,
        lambda a: a[20:150],
        lambda a: a[17],
        lambda a: np.asarray(a)[3:],
        lambda a: a.T,
        lambda a: a[5:9].T,
    ],
    ids=["whole", "rows", "one row", "as ndarray", "transposed", "rows transposed"],
)
def test_mapped_file_is_shared_as_itself(scratch, mapped, part):
    array = part(mapped)
    ref = share_array(array, scratch)
    assert ref.path == os.path.realpath(mapped.filename)
    assert list(scratch.iterdir()) == []
    np.testing.assert_array_equal(ref.open(), array)
    assert not ref.open().flags.writeable


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(rows=st.slices(200), columns=st.slices(30), dtype=st.sampled_from(["f4", "f8", "i2", ">f8"]))
def test_any_part_of_a_file_opens_as_the_same_values(tmp_path, scratch, rows, columns, dtype):
    path = tmp_path / f"part-{np.dtype(dtype).str[1:]}.npy"
    if not path.exists():
        np.save(path, np.random.default_rng(1).integers(-99, 99, (200, 30)).astype(dtype))
    array = np.load(path, mmap_mode="r")[rows, columns]
    if array.size == 0:
        return
    ref = share_array(array, scratch)
    np.testing.assert_array_equal(ref.open(), array)
    assert ref.open().dtype == array.dtype


@pytest.mark.parametrize(
    "make",
    [
        lambda a: a[:, ::2],
        lambda a: a[[3, 1, 2]],
        lambda a: a + 0,
        lambda a: np.load(a.filename, mmap_mode="c"),
    ],
    ids=["every other column", "chosen rows", "computed", "copy on write"],
)
def test_what_is_no_contiguous_part_of_a_file_is_copied(scratch, mapped, make):
    array = make(mapped)
    ref = share_array(array, scratch)
    assert os.path.dirname(ref.path) == str(scratch)
    np.testing.assert_array_equal(ref.open(), array)


def test_changes_made_in_memory_to_a_copy_on_write_map_are_shared(scratch, mapped):
    array = np.load(mapped.filename, mmap_mode="c")
    array[0, 0] = 1e6
    assert share_array(array, scratch).open()[0, 0] == 1e6


def test_file_that_was_deleted_or_replaced_is_not_taken_for_the_array(scratch, mapped):
    kept = np.array(mapped)
    replace(mapped, kept + 1)
    ref = share_array(mapped, scratch)
    np.testing.assert_array_equal(ref.open(), kept)
    os.unlink(mapped.filename)
    np.testing.assert_array_equal(share_array(mapped, scratch).open(), kept)


def test_same_path_with_new_content_is_not_read_from_the_old_mapping(scratch, mapped):
    share_array(mapped, scratch).open()
    expected = np.array(mapped) + 1
    replace(mapped, expected)
    fresh = np.load(mapped.filename, mmap_mode="r")
    np.testing.assert_array_equal(share_array(fresh, scratch).open(), expected)


def test_reference_is_small_and_survives_pickling(scratch, mapped):
    ref = share_array(mapped, scratch)
    packed = pickle.dumps(ref)
    assert len(packed) < 500
    assert pickle.loads(packed) == ref
    assert ref.open() is pickle.loads(packed).open()  # one mapping per process


def test_missing_file_says_what_to_do(scratch):
    ref = share_array(np.ones((4, 4)), scratch)
    os.unlink(ref.path)
    arrays._OPEN.clear()
    with pytest.raises(InputError, match=re.escape(ref.path)):
        ref.open()


def test_objects_are_refused(scratch):
    with pytest.raises(InputError, match="dtype object"):
        share_array(np.array([None, {}]), scratch)


def test_full_scratch_is_refused_before_anything_is_written(scratch, monkeypatch):
    Usage = collections.namedtuple("Usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(100, 90, 10))
    # The values and numpy's header of 128 bytes.
    with pytest.raises(ResourceError, match=r"array-.*32896 bytes.*10 bytes"):
        share_array(np.ones((64, 64)), scratch)
    with pytest.raises(ResourceError, match="scratch"):
        RowFile.create(scratch, (64, 64), np.dtype("f8"))
    assert list(scratch.iterdir()) == []


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("dtype", ["f4", "f8"])
def test_rows_written_in_any_order_and_in_blocks(scratch, monkeypatch, order, dtype):
    monkeypatch.setattr(arrays, "_BLOCK_BYTES", 200)  # two rows at a time
    values = np.asarray(np.random.default_rng(2).standard_normal((11, 9)), order=order)
    file = pickle.loads(pickle.dumps(RowFile.create(scratch, (11, 9), np.dtype(dtype))))
    for first, stop in ((5, 11), (0, 2), (2, 5)):
        file.write(first, values[first:stop])
    rows = file.detach()
    assert list(scratch.iterdir()) == []  # and still readable
    assert rows.dtype == dtype
    np.testing.assert_array_equal(rows, values.astype(dtype))
