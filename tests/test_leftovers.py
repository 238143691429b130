"""What killed processes leave: found by who wrote it, removed by the next, nothing else touched."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from bench_core.files import new_folder, replace_file, write_text
from bench_core.leftovers import (
    find_leftovers,
    make_owned_folder,
    owned_folder,
    partial_name,
    remove_leftovers,
    tag,
)

KILLED = """
import os, signal, sys
from pathlib import Path
from bench_core.files import make_partial_folder, publish_folder, replace_file
from bench_core.leftovers import make_owned_folder
folder = Path(sys.argv[1])
(make_partial_folder(folder / "result") / "coef.npy").write_bytes(b"x" * 10000)
(make_owned_folder(folder, "fit") / "X.npy").write_bytes(b"x" * 10000)
def end(*_):
    os.kill(os.getpid(), signal.SIGKILL)
if sys.argv[2] == "file":
    replace_file(folder / "a.b.npy", lambda part: (part.write_bytes(b"half"), end()))
part = make_partial_folder(folder / "report")
(part / "new").touch()
real = Path.rename
def rename(self, target):
    moved = real(self, target)
    end()
Path.rename = rename
publish_folder(part, folder / "report", replace=True)
"""


def kill(folder: Path, how: str) -> None:
    done = subprocess.run([sys.executable, "-c", KILLED, str(folder), how], check=False)
    assert done.returncode == -9


def test_the_next_writer_removes_what_a_killed_one_left(tmp_path: Path) -> None:
    (tmp_path / "mine.npy").write_bytes(b"mine")
    (tmp_path / ".hidden.partial-mine").write_bytes(b"mine")
    kill(tmp_path, "file")
    assert len(list(tmp_path.iterdir())) == 5
    found = find_leftovers(tmp_path)
    assert len(found) == 3
    assert sum(each.bytes for each in found) >= 20_004
    write_text(tmp_path / "next.txt", "next")
    assert sorted(os.listdir(tmp_path)) == [".hidden.partial-mine", "mine.npy", "next.txt"]


def test_a_folder_that_was_being_replaced_gets_its_name_back(tmp_path: Path) -> None:
    (tmp_path / "report").mkdir()
    (tmp_path / "report" / "old").touch()
    kill(tmp_path, "folder")
    assert not (tmp_path / "report").exists()
    remove_leftovers(tmp_path)
    assert os.listdir(tmp_path) == ["report"]
    assert os.listdir(tmp_path / "report") == ["old"]


def test_what_belongs_to_a_running_process_or_another_host_stays(tmp_path: Path) -> None:
    mine = make_owned_folder(tmp_path, "fit")
    part = partial_name(tmp_path / "x.npy")
    part.touch()
    assert part.name.endswith(".npy")
    # Nobody has the highest number of a process.
    pid, began, host, digits = tag().split("-")
    foreign = tmp_path / f"fit-{2**22 - 1}-1-00000000-{digits}"
    dead = tmp_path / f"fit-{2**22 - 1}-1-{host}-{digits}"
    recycled = tmp_path / f"fit-{pid}-{int(began) - 1}-{host}-{digits}"
    for folder in (foreign, dead, recycled):
        folder.mkdir()
    assert {each.path for each in remove_leftovers(tmp_path, again=True)} == {dead, recycled}
    assert {mine, part, foreign} == set(tmp_path.iterdir())


def test_an_owned_folder_is_private_and_goes_after_an_error(tmp_path: Path) -> None:
    with pytest.raises(KeyError), owned_folder(tmp_path / "new", "fit") as folder:  # noqa: PT012
        assert folder.stat().st_mode & 0o777 == 0o700
        (folder / "x").touch()
        raise KeyError
    assert list((tmp_path / "new").iterdir()) == []


def test_writers_still_work_beside_each_other(tmp_path: Path) -> None:
    with new_folder(tmp_path / "a") as outer:
        replace_file(tmp_path / "b.txt", lambda part: part.write_text("b"))
        assert outer.is_dir()
    assert sorted(os.listdir(tmp_path)) == ["a", "b.txt"]
