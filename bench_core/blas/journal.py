"""Journal of `blas use`, beside the packages, from which every change can be undone.

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
from bench_core.files import replace_file

FOLDER = ".ridgebench-blas"


@dataclass
class Entry:
    """One replaced file.

    Attributes
    ----------
    original : SHA-256 of the file that pip installed.
    replaced : SHA-256 of its replacements, the newest first; older ones are kept until the
        change that replaces them is complete.
    recipe : digest of everything that determines the newest replacement.
    """

    original: str
    replaced: list[str]
    recipe: str


@dataclass
class Choice:
    """BLAS chosen for one package.

    Attributes
    ----------
    target : argument of `blas use`.
    name : name of the BLAS.
    library : its file.
    reasons : routines that stay with the bundled library, by reason.
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
    packages : BLAS chosen for each package; the others keep their bundled library.
    files : the replaced files by name.
    """

    folder: Path
    phase: str = "bundled"
    packages: dict[str, Choice] = field(default_factory=dict)
    files: dict[str, Entry] = field(default_factory=dict)

    @property
    def home(self) -> Path:
        """Folder of the journal."""
        return self.folder / FOLDER

    def original(self, name: str) -> Path:
        """Return the path of the kept original of the file ``name``."""
        return self.home / "originals" / name

    def staged(self, name: str) -> Path:
        """Return the path at which the replacement of the file ``name`` is prepared."""
        return self.home / "staged" / name

    def originals(self) -> dict[str, Path]:
        """Return the paths of the originals of all replaced files, by name."""
        return {name: self.original(name) for name in self.files}

    def keep(self, name: str) -> str:
        """Keep a copy of the original file ``name``; return its digest."""
        copy_atomically(self.folder / name, self.original(name))
        return digest(self.original(name))

    def write(self) -> None:
        """Write the journal in one step, and make sure that it is on the disk."""
        fields = asdict(self) | {"schema": 1}
        del fields["folder"]

        def save(path: Path) -> None:
            with path.open("w", encoding="utf-8") as stream:
                json.dump(fields, stream, indent=1, sort_keys=True)
                stream.flush()
                os.fsync(stream.fileno())

        replace_file(self.home / "journal.json", save)

    def forget_reinstalled(self) -> None:
        """Remove the entries of files that are neither the kept original nor its replacement.

        Such a file belongs to a newer installation of its package, and the original is outdated.
        """
        for name, entry in list(self.files.items()):
            live = self.folder / name
            if not live.is_file() or digest(live) not in (entry.original, *entry.replaced):
                del self.files[name]
                self.original(name).unlink(missing_ok=True)

    def remove(self) -> None:
        """Remove the journal, then the files: the environment is as pip installed it."""
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
    """Hold the lock of this environment; a second change waits until it is released."""
    home = folder / FOLDER
    home.mkdir(exist_ok=True)
    with (home / "lock").open("w") as stream:
        fcntl.flock(stream, fcntl.LOCK_EX)
        yield


def copy_atomically(source: Path, destination: Path) -> None:
    """Copy a file with its mode and times; ``destination`` appears whole or not at all."""

    def save(path: Path) -> None:
        shutil.copy2(source, path)
        with path.open("rb") as stream:
            os.fsync(stream.fileno())

    replace_file(destination, save)
