"""Journal of `blas use` beside the packages, with which it can always go back.

A folder ``.ridgebench-blas`` next to numpy and scipy holds the original of every file that was
replaced, the replacements while they are made, and ``journal.json``. The order of writing makes
every moment safe: originals are copied and named in the journal before the first replacement;
each replacement is one `os.replace`; every file works on its own, replaced or not.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from bench_core.blas.wheels import digest

FOLDER = ".ridgebench-blas"


@dataclass
class Entry:
    """One replaced file.

    Attributes
    ----------
    original : SHA-256 of what pip installed.
    replaced : SHA-256 of what took its place, the newest first; older ones are kept until the
        change that replaces them is complete.
    recipe : digest of all that decides what the newest replacement looks like.
    """

    original: str
    replaced: list[str]
    recipe: str


@dataclass
class Choice:
    """Library that one package was linked to.

    Attributes
    ----------
    target : what was asked for.
    name : the BLAS that it is.
    library : its file.
    reasons : why some routines stay with the bundled library, and which.
    """

    target: str
    name: str
    library: str
    reasons: dict[str, list[str]]


@dataclass
class Journal:
    """The state of one environment.

    Attributes
    ----------
    folder : where packages are installed.
    phase : "bundled" (as pip installed it), "changing" (a change began and has not ended) or
        "relinked".
    packages : what each package was pointed at; one that is not there keeps its own library.
    files : the replaced files by name.
    """

    folder: Path
    phase: str = "bundled"
    packages: dict[str, Choice] = field(default_factory=dict)
    files: dict[str, Entry] = field(default_factory=dict)

    @property
    def home(self) -> Path:
        """The folder that this journal lies in."""
        return self.folder / FOLDER

    def original(self, name: str) -> Path:
        """Return where the original of the file ``name`` is kept."""
        return self.home / "originals" / name

    def staged(self, name: str) -> Path:
        """Return where the replacement of the file ``name`` is prepared."""
        return self.home / "staged" / name

    def originals(self) -> dict[str, Path]:
        """Return where the originals of all replaced files lie, by name."""
        return {name: self.original(name) for name in self.files}

    def keep(self, name: str) -> str:
        """Copy the file ``name``, which is an original, aside; return its digest."""
        copy_atomically(self.folder / name, self.original(name))
        return digest(self.original(name))

    def write(self) -> None:
        """Write the journal, replacing the former one in one step and reaching the disk."""
        fields = asdict(self) | {"schema": 1}
        del fields["folder"]
        self.home.mkdir(exist_ok=True)
        temporary = self.home / "journal.json.new"
        with temporary.open("w", encoding="utf-8") as stream:
            json.dump(fields, stream, indent=1, sort_keys=True)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(self.home / "journal.json")

    def forget_reinstalled(self) -> None:
        """Drop the entries of files that are neither our original nor our replacement.

        Such a file came with a newer installation of its package, and the original kept here is
        out of date.
        """
        for name, entry in list(self.files.items()):
            live = self.folder / name
            if not live.is_file() or digest(live) not in (entry.original, *entry.replaced):
                del self.files[name]
                self.original(name).unlink(missing_ok=True)

    def remove(self) -> None:
        """Remove everything kept: the environment is as pip installed it.

        The journal goes first, so that an interruption leaves copies that nobody refers to.
        """
        (self.home / "journal.json").unlink(missing_ok=True)
        shutil.rmtree(self.home / "originals", ignore_errors=True)
        shutil.rmtree(self.home / "staged", ignore_errors=True)


def read(folder: Path) -> Journal:
    """Return the journal of the environment whose packages are in ``folder``."""
    try:
        text = (folder / FOLDER / "journal.json").read_text(encoding="utf-8")
    except FileNotFoundError:
        return Journal(folder)
    fields: dict[str, Any] = json.loads(text)
    fields.pop("schema")
    files = {name: Entry(**entry) for name, entry in fields.pop("files").items()}
    packages = {name: Choice(**choice) for name, choice in fields.pop("packages").items()}
    return Journal(folder, packages=packages, files=files, **fields)


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Keep any second change of this environment waiting until this one is over."""
    home = folder / FOLDER
    home.mkdir(exist_ok=True)
    with (home / "lock").open("w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield


def copy_atomically(source: Path, destination: Path) -> None:
    """Copy a file with its mode and times so that ``destination`` is never seen half-written."""
    destination.parent.mkdir(parents=True, exist_ok=True)
    temporary = destination.with_name(f".{destination.name}.{os.getpid()}")
    shutil.copy2(source, temporary)
    with temporary.open("rb") as stream:
        os.fsync(stream.fileno())
    temporary.replace(destination)
