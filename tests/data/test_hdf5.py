"""Datasets of HDF5 files against h5py's own reading and arrays made by hand."""

import h5py
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench_core.data.hdf5 import Hdf5Array, chunk_blocks, dataset_names, open_dataset
from bench_core.errors import InputError

A = np.random.default_rng(0).standard_normal((40, 9))


def values(found):
    if not isinstance(found, Hdf5Array):
        return np.asarray(found)
    out = np.full(found.shape, np.nan)
    for rows, columns, block in found.blocks(500):
        assert np.isnan(out[rows, columns]).all()
        out[rows, columns] = block
    return out


@given(
    shape=st.tuples(st.integers(1, 30), st.integers(1, 30)),
    chunks=st.none() | st.tuples(st.integers(1, 40), st.integers(1, 40)),
    budget=st.integers(1, 5000),
)
def test_every_chunk_is_in_one_block_and_every_value_too(shape, chunks, budget):
    count = np.zeros(shape, int)
    met = {}
    for number, (rows, columns) in enumerate(chunk_blocks(shape, chunks, 8, budget)):
        count[rows, columns] += 1
        if chunks is not None:
            for i in range(rows.start // chunks[0], (rows.stop - 1) // chunks[0] + 1):
                for j in range(columns.start // chunks[1], (columns.stop - 1) // chunks[1] + 1):
                    met.setdefault((i, j), set()).add(number)
    assert (count == 1).all()
    assert all(len(numbers) == 1 for numbers in met.values())


@pytest.mark.parametrize("chunks", [None, (40, 1), (7, 4), (40, 9)])
def test_links_lead_to_the_values(tmp_path, chunks):
    packed = {} if chunks is None else {"chunks": chunks, "compression": "gzip"}
    with h5py.File(tmp_path / "data.H5", "w") as file:
        file.create_dataset("deep/A", data=A, **packed)
        file["soft"] = h5py.SoftLink("/deep/A")
        file["hard"] = file["deep/A"]
        file["loop"] = h5py.SoftLink("/")
        file["broken"] = h5py.SoftLink("/nowhere")
    with h5py.File(tmp_path / "links.h5", "w") as file:
        file["outside"] = h5py.ExternalLink("data.H5", "deep/A")
        file["gone"] = h5py.ExternalLink("absent.h5", "deep/A")
    for name in ("deep/A", "soft", "hard"):
        np.testing.assert_array_equal(values(open_dataset(tmp_path / "data.H5", name)), A)
    np.testing.assert_array_equal(values(open_dataset(tmp_path / "links.h5", "outside")), A)
    assert set(dataset_names(tmp_path / "data.H5")) == {"deep/A", "soft", "hard"}
    for file, name, named in (
        ("data.H5", "broken", "/nowhere"),
        ("links.h5", "gone", "absent.h5"),
        ("data.H5", "deep", "deep/A"),
    ):
        with pytest.raises(InputError, match=named):
            open_dataset(tmp_path / file, name)


@pytest.mark.parametrize("packed", [{}, {"chunks": (3, 5), "compression": "gzip"}])
def test_matlab_matrices_are_as_matlab_shows_them(tmp_path, packed):
    path = tmp_path / "data.mat"
    with h5py.File(path, "w", userblock_size=512) as file:
        file.create_dataset("A", data=A.T, **packed).attrs["MATLAB_class"] = np.bytes_("double")
        file.create_dataset("text", data=A).attrs["MATLAB_class"] = np.bytes_("char")
    np.testing.assert_array_equal(values(open_dataset(path, "A")), A)
    with pytest.raises(InputError, match="char"):
        open_dataset(path, "text")
    (tmp_path / "old.mat").write_bytes(b"MATLAB 5.0 MAT-file")
    with pytest.raises(InputError, match=r"7\.3"):
        open_dataset(tmp_path / "old.mat", "A")


def test_what_would_be_read_as_a_fill_value_is_refused(tmp_path):
    path = tmp_path / "gaps.h5"
    with h5py.File(tmp_path / "source.h5", "w") as file:
        file["A"] = A
    with h5py.File(path, "w") as file:
        file["null"] = h5py.Empty("f8")
        file.create_dataset("never", (40, 9), "f8")
        file.create_dataset("part", (40, 9), "f8", chunks=(10, 9))[:10] = 1
        for name, source, rows in (
            ("whole", "source.h5", 40), ("missing", "absent.h5", 40), ("half", "source.h5", 20)
        ):  # fmt: skip
            layout = h5py.VirtualLayout((40, 9), "f8")
            layout[:rows] = h5py.VirtualSource(tmp_path / source, "A", (40, 9))[:rows]
            file.create_virtual_dataset(name, layout)
    np.testing.assert_array_equal(values(open_dataset(path, "whole")), A)
    for name, named in (
        ("null", "null"), ("never", "no value"), ("part", "3 of 4 chunks"),
        ("missing", "absent.h5"), ("half", "180 of 360"),
    ):  # fmt: skip
        with pytest.raises(InputError, match=named):
            open_dataset(path, name)


def write_pattern(path, file, dataset, rows=10, taken=None):
    """Write a dataset ``V`` of blocks of ``rows`` rows that a pattern of sources gives."""
    endless = h5py.h5s.UNLIMITED
    plan = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    shown = h5py.h5s.create_simple((rows, 9), (endless, 9))
    shown.select_hyperslab((0, 0), (endless, 1), stride=(rows, 1), block=(rows, 9))
    plan.set_virtual(
        shown, file.encode(), dataset.encode(), taken or h5py.h5s.create_simple((rows, 9))
    )
    with h5py.File(path, "a") as out:
        space = h5py.h5s.create_simple((rows, 9), (endless, 9))
        h5py.h5d.create(out.id, b"V", h5py.h5t.NATIVE_DOUBLE, space, plan)


def numbered(folder, pattern, inside):
    """Write four sources of ten rows of `A` each, by number in the file's or the dataset's name."""
    for number in range(4):
        with h5py.File(folder / pattern.replace("%b", str(number)).replace("%%", "%"), "a") as file:
            file[inside.replace("%b", str(number))] = A[10 * number : 10 * number + 10]


@pytest.mark.parametrize(
    ("pattern", "inside"),
    [("part-%b.h5", "A"), ("5%% of %b.h5", "deep/A"), ("all.h5", "deep/A%b"), (".", "A%b")],
)
def test_patterns_of_sources_are_read(tmp_path, pattern, inside):
    numbered(tmp_path, "virtual.h5" if pattern == "." else pattern, inside)
    write_pattern(tmp_path / "virtual.h5", pattern, inside)
    np.testing.assert_array_equal(values(open_dataset(tmp_path / "virtual.h5", "V")), A)


@pytest.mark.parametrize("gone", [(0,), (1,), (1, 2), (0, 1, 2, 3)])
def test_every_missing_source_of_a_pattern_is_named(tmp_path, gone):
    """HDF5 itself would show the rows before the first gap, and say nothing."""
    numbered(tmp_path, "part-%b.h5", "A")
    numbered(tmp_path, "inside.h5", "A%b")
    write_pattern(tmp_path / "files.h5", "part-%b.h5", "A")
    write_pattern(tmp_path / "datasets.h5", "inside.h5", "A%b")
    with h5py.File(tmp_path / "inside.h5", "a") as file:
        for number in gone:
            (tmp_path / f"part-{number}.h5").unlink()
            del file[f"A{number}"]
    with h5py.File(tmp_path / "files.h5") as file:
        assert len(file["V"]) == 10 * min(gone)
    expected = {0} if len(gone) == 4 else {*gone}  # without any, there is no end
    for name, source in (("files", "part-{}.h5:A"), ("datasets", "inside.h5:A{}")):
        with pytest.raises(InputError) as error:
            open_dataset(tmp_path / f"{name}.h5", "V")
        named = {number for number in range(4) if source.format(number) in str(error.value)}
        assert named == expected


def test_sources_of_a_pattern_are_checked_as_others_are(tmp_path):
    write_pattern(tmp_path / "virtual.h5", "part-%b.h5", "A")
    numbered(tmp_path, "part-%b.h5", "A")
    for change, named in (
        ({"data": A[:7]}, "shape \\(7, 9\\)"),
        ({"shape": (10, 9), "dtype": "f8"}, "never|no value"),
    ):
        with h5py.File(tmp_path / "part-1.h5", "w") as file:
            file.create_dataset("A", **change)
        with pytest.raises(InputError, match=rf"part-1\.h5:A.*{named}"):
            open_dataset(tmp_path / "virtual.h5", "V")


@pytest.mark.parametrize(("have", "right"), [(40, True), (25, False)])
def test_sources_that_may_grow_are_measured_as_they_are(tmp_path, have, right):
    endless = h5py.h5s.UNLIMITED
    for name, rows in (("whole.h5", 40), ("other.h5", have)):
        with h5py.File(tmp_path / name, "w") as file:
            file.create_dataset("A", data=A[:rows], maxshape=(None, 9), chunks=(5, 9))
    with h5py.File(tmp_path / "virtual.h5", "w") as file:
        layout = h5py.VirtualLayout((40, 18), "f8", maxshape=(None, 18))
        for number, name in enumerate(("whole.h5", "other.h5")):
            source = h5py.VirtualSource(name, "A", (40, 9), maxshape=(None, 9))
            layout[:endless, 9 * number : 9 * number + 9] = source[:endless]
        file.create_virtual_dataset("V", layout)
    if right:
        found = values(open_dataset(tmp_path / "virtual.h5", "V"))
        np.testing.assert_array_equal(found, np.hstack([A, A]))
    else:
        with pytest.raises(InputError, match=r"other\.h5:A"):
            open_dataset(tmp_path / "virtual.h5", "V")
