"""A conda channel on disk: archives as conda reads them, indexed by rattler.

An archive in the ``.conda`` format is a zip file, stored uncompressed, of two tar files compressed
by zstandard (the conda enhancement proposal on package formats). The standard library lacks
zstandard before Python 3.14, but its format allows frames of raw blocks, which need no encoder
(RFC 8878, section 3.1.1) and cost no time on hundreds of megabytes of libraries.
"""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
import struct
import tarfile
import zipfile
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from rattler import Subdir
from rattler.index import index_fs

ZSTD_BLOCK = 128 * 1024
HERE = str(Subdir.current())


@dataclass(frozen=True)
class Link:
    """A symbolic link in a package."""

    target: str


Content = bytes | Path | Link


@dataclass(frozen=True)
class Package:
    """One build of one package: its metadata, and its files by path in the environment.

    Files that hold ``prefix``, the folder they were built for, are marked so: whoever installs them
    puts the environment's folder there, which must not be longer (the rest is filled with zeros).
    """

    name: str
    version: str
    build: str = "0"
    depends: tuple[str, ...] = ()
    constrains: tuple[str, ...] = ()
    features: tuple[str, ...] = ()
    subdir: str = HERE
    files: Mapping[str, Content] = field(default_factory=dict)
    prefix: str | None = None

    def index(self) -> dict[str, object]:
        """Return ``info/index.json``."""
        prefix = self.build.partition("_")[0]
        platform, _, arch = self.subdir.partition("-")
        return {
            "name": self.name,
            "version": self.version,
            "build": self.build,
            "build_number": int(prefix) if prefix.isdigit() else 0,
            "depends": list(self.depends),
            "constrains": list(self.constrains),
            # An empty string would count as a feature, and so as a build that is not the default.
            **({"track_features": " ".join(self.features)} if self.features else {}),
            "subdir": self.subdir,
            **({"arch": arch, "platform": platform} if arch else {"noarch": "generic"}),
        }


def write_channel(folder: Path, packages: Iterable[Package]) -> str:
    """Write ``packages`` and their index into ``folder``; return the channel's address.

    Packages that ``folder`` holds already stay, and are indexed too.
    """
    write_archives(folder, packages)
    asyncio.run(index_fs(folder, write_zst=False, write_shards=False))
    return folder.as_uri()


def write_archives(folder: Path, packages: Iterable[Package]) -> None:
    """Write ``packages`` into ``folder``, for an index to come."""
    (folder / "noarch").mkdir(parents=True, exist_ok=True)
    for package in packages:
        (folder / package.subdir).mkdir(exist_ok=True)
        _write_archive(folder / package.subdir, package)


def _write_archive(folder: Path, package: Package) -> None:
    stem = f"{package.name}-{package.version}-{package.build}"
    info = {
        "info/index.json": json.dumps(package.index()).encode(),
        "info/paths.json": json.dumps(_paths(package)).encode(),
    }
    with zipfile.ZipFile(folder / f"{stem}.conda", "w", zipfile.ZIP_STORED) as archive:
        archive.writestr("metadata.json", json.dumps({"conda_pkg_format_version": 2}))
        for part, files in (("pkg", package.files), ("info", info)):
            with (
                archive.open(f"{part}-{stem}.tar.zst", "w", force_zip64=True) as out,
                _RawZstd(out) as compressed,
            ):
                _write_tar(compressed, files)


def _paths(package: Package) -> dict[str, object]:
    """Return ``info/paths.json``."""
    entries = []
    for path, content in sorted(package.files.items()):
        if isinstance(content, Link):
            entry = {"path_type": "softlink", **_digest(b"")}
        else:
            data = content if isinstance(content, bytes) else content.read_bytes()
            entry = {"path_type": "hardlink", **_digest(data)}
            if package.prefix is not None and package.prefix.encode() in data:
                entry["prefix_placeholder"] = package.prefix
                entry["file_mode"] = "binary" if b"\0" in data else "text"
        entries.append({"_path": path, **entry})
    return {"paths": entries, "paths_version": 1}


def _digest(data: bytes) -> dict[str, object]:
    return {"sha256": hashlib.sha256(data).hexdigest(), "size_in_bytes": len(data)}


def _write_tar(out: IO[bytes], files: Mapping[str, Content]) -> None:
    with tarfile.open(fileobj=out, mode="w|") as tar:
        for path, content in sorted(files.items()):
            member = tarfile.TarInfo(path)
            if isinstance(content, Link):
                member.type, member.linkname = tarfile.SYMTYPE, content.target
                tar.addfile(member)
            elif isinstance(content, bytes):
                member.size, member.mode = len(content), 0o755 if path.startswith("bin/") else 0o644
                tar.addfile(member, io.BytesIO(content))
            else:
                member.size, member.mode = content.stat().st_size, content.stat().st_mode & 0o777
                with content.open("rb") as source:
                    tar.addfile(member, source)


class _RawZstd(io.RawIOBase):
    """A writer of one zstandard frame in which every block is stored as it is."""

    def __init__(self, out: IO[bytes]) -> None:
        self._out = out
        self._rest = b""
        # Magic number; descriptor: no content size, no checksum; window of one block (2**17).
        out.write(struct.pack("<IBB", 0xFD2FB528, 0x00, 7 << 3))

    def writable(self) -> bool:
        return True

    def write(self, data: object) -> int:
        given = bytes(data)  # type: ignore[call-overload]
        self._rest += given
        *full, self._rest = _blocks(self._rest)
        for block in full:
            self._block(block, last=False)
        return len(given)

    def close(self) -> None:
        if not self.closed:
            self._block(self._rest, last=True)
        super().close()

    def _block(self, block: bytes, *, last: bool) -> None:
        self._out.write(struct.pack("<I", len(block) << 3 | last)[:3] + block)


def _blocks(data: bytes) -> Iterator[bytes]:
    """Split ``data`` into blocks of full size and a rest that may be empty."""
    for start in range(0, len(data) + 1, ZSTD_BLOCK):
        yield data[start : start + ZSTD_BLOCK]
