"""Folders written over several attempts, and events."""

from __future__ import annotations

import numpy as np
import pytest

from bench_core.data.folder import read_folder
from bench_core.data.resumable import ResumableFolderWriter
from bench_core.errors import InputError

ARRAYS = {"Y": ((4, 3), "float32")}


def writer(folder, key="a", arrays=ARRAYS):
    return ResumableFolderWriter(folder, arrays, {"name": "x"}, key)


def put(made, part):
    made.put("Y", 2 * part, np.full((2, 3), part + 1.0))
    made.mark(f"part {part}")


def test_marked_parts_stay(tmp_path):
    with writer(tmp_path / "p") as first:
        put(first, 0)
    assert not (tmp_path / "p").exists()
    with writer(tmp_path / "p") as second:
        assert second.done == {"part 0"}
        put(second, 1)
        second.commit()
    _, arrays = read_folder(tmp_path / "p")
    assert arrays["Y"].tolist() == [[1.0] * 3] * 2 + [[2.0] * 3] * 2
    assert sorted(path.name for path in tmp_path.iterdir()) == ["p"]
    assert sorted(path.name for path in (tmp_path / "p").iterdir()) == ["Y.npy", "problem.json"]


@pytest.mark.parametrize(
    ("key", "arrays"),
    [("b", ARRAYS), ("a", {"Y": ((4, 3), "float64")}), ("a", {"Y": ((5, 3), "float32")})],
)
def test_another_key_or_size_starts_anew(tmp_path, key, arrays):
    with writer(tmp_path / "p") as first:
        put(first, 0)
    with writer(tmp_path / "p", key, arrays) as second:
        assert second.done == set()
        put(second, 1)
        second.commit()
    _, found = read_folder(tmp_path / "p")
    assert found["Y"][:2].tolist() == [[0.0] * 3] * 2


def test_a_mark_that_was_cut_short_counts_for_nothing(tmp_path):
    with writer(tmp_path / "p") as first:
        put(first, 0)
        put(first, 1)
    journal = tmp_path / ".p.building" / ".journal"
    journal.write_bytes(journal.read_bytes()[:-3])
    with writer(tmp_path / "p") as second:
        assert second.done == {"part 0"}
        put(second, 1)
    with writer(tmp_path / "p") as third:
        assert third.done == {"part 0", "part 1"}


def test_two_writers_at_once_are_refused(tmp_path):
    with writer(tmp_path / "p") as first:
        with pytest.raises(InputError, match=str(tmp_path / "p")), writer(tmp_path / "p"):
            pass
        put(first, 0)
    with writer(tmp_path / "p") as again:
        assert again.done == {"part 0"}


def test_an_existing_folder_is_never_touched(tmp_path):
    (tmp_path / "p").mkdir()
    with pytest.raises(InputError, match=str(tmp_path / "p")), writer(tmp_path / "p"):
        pass
