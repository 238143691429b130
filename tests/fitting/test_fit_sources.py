"""Array files as problems: .npy, HDF5, and everything that can be wrong with them."""

import h5py
import numpy as np
import pytest

from bench_core.errors import InputError, UnknownNameError
from bench_core.fitting.sources import ProblemSource, open_array


@pytest.fixture
def arrays(tmp_path):
    rng = np.random.default_rng(0)
    X, Y = rng.standard_normal((40, 6)), rng.standard_normal((40, 9))
    np.save(tmp_path / "X.npy", X)
    np.save(tmp_path / "Y.npy", Y)
    with h5py.File(tmp_path / "both.h5", "w") as file:
        file["deep/X"] = X
        file.create_dataset("Y", data=Y, chunks=(7, 4), compression="gzip")
    return X, Y


def opened(tmp_path, x, y, **more):
    return ProblemSource(x=str(tmp_path / x), y=str(tmp_path / y), **more).open(
        tmp_path / "scratch"
    )


@pytest.mark.parametrize("x", ["X.npy", "both.h5:deep/X"])
@pytest.mark.parametrize("y", ["Y.npy", "both.h5:Y", "both.h5:/Y"])
def test_values_are_those_of_the_files(tmp_path, arrays, x, y):
    X, Y = arrays
    problem = opened(tmp_path, x, y)
    np.testing.assert_array_equal(problem.X, X)
    np.testing.assert_array_equal(problem.Y, Y)
    assert isinstance(problem.X, np.memmap)
    assert isinstance(problem.Y, np.memmap)
    np.testing.assert_array_equal(problem.runs, np.ones(40))


def test_plain_files_are_mapped_and_others_copied_once(tmp_path, arrays):
    opened(tmp_path, "X.npy", "Y.npy")
    assert not (tmp_path / "scratch").exists()
    opened(tmp_path, "both.h5:deep/X", "both.h5:Y")
    assert [path.name for path in (tmp_path / "scratch").iterdir()] == ["y.npy"]


@pytest.mark.parametrize(
    ("x_dtype", "y_dtype", "expected"),
    [("f4", "f4", "f4"), ("f4", "f8", "f8"), ("i2", "f4", "f8"), (">f8", "f8", "f8")],
)
def test_types_become_one(tmp_path, arrays, x_dtype, y_dtype, expected):
    X, Y = arrays
    np.save(tmp_path / "a.npy", (X * 100).astype(x_dtype))
    np.save(tmp_path / "b.npy", Y.astype(y_dtype))
    problem = opened(tmp_path, "a.npy", "b.npy")
    assert problem.X.dtype == problem.Y.dtype == np.dtype(expected)
    np.testing.assert_array_equal(problem.X, (X * 100).astype(x_dtype))


@pytest.mark.parametrize("suffix", ["npy", "txt"])
def test_runs(tmp_path, arrays, suffix):
    runs = np.repeat([3, 1], 20)
    path = tmp_path / f"runs.{suffix}"
    np.save(path, runs) if suffix == "npy" else np.savetxt(path, runs, "%d")
    problem = opened(tmp_path, "X.npy", "Y.npy", runs=str(path))
    np.testing.assert_array_equal(problem.runs, runs)
    np.savetxt(tmp_path / "short.txt", runs[:-1], "%d")
    with pytest.raises(InputError, match=r"short.txt.*\(39,\).*40"):
        opened(tmp_path, "X.npy", "Y.npy", runs=str(tmp_path / "short.txt"))


def test_what_cannot_be_read_is_named(tmp_path, arrays):
    X, _ = arrays
    with pytest.raises(InputError, match=r"absent.npy.*No such file"):
        open_array(str(tmp_path / "absent.npy"))
    (tmp_path / "cut.npy").write_bytes((tmp_path / "X.npy").read_bytes()[:500])
    with pytest.raises(InputError, match=r"cut.npy.*damaged"):
        open_array(str(tmp_path / "cut.npy"))
    with pytest.raises(InputError, match=r"X.csv.*FILE.h5:DATASET"):
        open_array("X.csv")
    with pytest.raises(InputError, match=r"both.h5.*both.h5:Y"):
        open_array(str(tmp_path / "both.h5"))
    with pytest.raises(UnknownNameError, match=r"both.h5 'deep/Z'.*'deep/X'"):
        open_array(f"{tmp_path / 'both.h5'}:deep/Z")
    (tmp_path / "not.h5").write_bytes(b"text")
    with pytest.raises(InputError, match=r"not.h5 is no HDF5 file"):
        open_array(f"{tmp_path / 'not.h5'}:X")
    with pytest.raises(InputError, match=r"absent.h5.*(?i:no such file)"):
        open_array(f"{tmp_path / 'absent.h5'}:X")
    np.save(tmp_path / "words.npy", np.array([["a", "b"]] * 40))
    with pytest.raises(InputError, match=r"--y .*words.npy.*<U1"):
        opened(tmp_path, "X.npy", "words.npy")
    np.save(tmp_path / "flat.npy", X[:, 0])
    with pytest.raises(InputError, match=r"flat.npy.*\(40,\)"):
        opened(tmp_path, "X.npy", "flat.npy")
    np.save(tmp_path / "short.npy", X[:30])
    with pytest.raises(InputError, match=r"X.npy\D+40.*short.npy\D+30"):
        opened(tmp_path, "X.npy", "short.npy")
    np.save(tmp_path / "none.npy", np.zeros((40, 0)))
    with pytest.raises(InputError, match="no targets"):
        opened(tmp_path, "X.npy", "none.npy")


def test_one_source_and_only_one():
    with pytest.raises(InputError, match=r"problem.*--x.*--y"):
        ProblemSource()
    with pytest.raises(InputError, match="or both --x and --y"):
        ProblemSource(x="X.npy")
    with pytest.raises(InputError, match="not both"):
        ProblemSource("parcels", x="X.npy")
    with pytest.raises(InputError, match="runs"):
        ProblemSource("parcels", runs="runs.npy")


def test_unknown_problem_offers_near_names(tmp_path):
    with pytest.raises(UnknownNameError, match=r"problem 'parcel'.*'parcels'"):
        ProblemSource("parcel").open(tmp_path)
    with pytest.raises(InputError, match=r"\./parcels"):
        ProblemSource("./parcels").open(tmp_path)
