"""asv's own pages without the internet: the libraries that they load, from a folder of the user.

asv's ``index.html`` names its JavaScript libraries by addresses on the internet, each with the
digest that browsers check (Subresource Integrity, W3C 2016). No package of pip has all of them. So
`fetch_libraries` fills a folder once, and `use_libraries` copies what the page names beside it.
Files of the same name serve too, such as those of npm's packages, which are not minified.
"""

from __future__ import annotations

import base64
import hashlib
import html
import os
import re
import shutil
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from bench_core.errors import InputError
from bench_core.files import replace_file, user_cache, write_bytes, write_text
from bench_core.progress import Progress, silent

VARIABLE = "RIDGEBENCH_ASV_LIBRARIES"
"""Environment variable with the folder of libraries."""

BESIDE = "asv-libraries"
"""Folder of the copies, beside asv's pages."""

_TAG = re.compile(r"<(?:script|link)\b[^>]*>")
_ADDRESS = re.compile(r'\b(?:src|href)="(https?://[^"]+)"')
_INTEGRITY = re.compile(r'\s+integrity="([^"]*)"')
_FOR_OTHER_HOSTS = re.compile(r'\s+(?:integrity|crossorigin|referrerpolicy)="[^"]*"')
_MOST_BYTES = 2**22
_SUFFIXES = (".js", ".css")


@dataclass(frozen=True)
class Library:
    """One library that asv's page loads.

    Parameters
    ----------
    address : on the internet. ``integrity`` : its digests, as in the page; empty for none.

    Examples
    --------
    >>> Library("https://example.org/3.3/jquery.min.js?v=1", "").name
    'jquery.min.js'
    """

    address: str
    integrity: str

    @property
    def name(self) -> str:
        """Name of its file."""
        return re.split(r"[?#]", self.address)[0].rpartition("/")[2]

    def accepts(self, content: bytes) -> bool:
        """Return whether a content has one of the digests."""
        return any(_digest(one.partition("-")[0], content) == one for one in self.integrity.split())


@dataclass(frozen=True)
class Used:
    """What became of the libraries of asv's pages.

    Parameters
    ----------
    missing : those that the folder has not; then nothing was changed.
    alike : those that a file of the same name stands for, with another content or version.

    Examples
    --------
    >>> Used((), ()).note.startswith("asv's own pages have their libraries beside them")
    True
    """

    missing: tuple[Library, ...]
    alike: tuple[Library, ...]

    @property
    def note(self) -> str:
        """What asv's pages need, in words."""
        if self.missing:
            return (
                f"asv's own pages load {len(self.missing)} libraries from the internet that are "
                "not kept here: `ridgebench report --fetch-asv-libraries` (docs/offline.md)."
            )
        text = (
            "asv's own pages have their libraries beside them. Open them by `ridgebench preview`: "
            "browsers let no page of a file read others."
        )
        if not self.alike:
            return text
        names = ", ".join(one.name for one in self.alike)
        return f"{text} Of the same name, but not the files that asv names: {names}."


def library_folder() -> Path:
    """Return the folder of libraries: `VARIABLE`, else a folder of the user's cache."""
    chosen = os.environ.get(VARIABLE)
    return Path(chosen) if chosen else user_cache("asv-libraries")


def find_libraries(page: str) -> list[Library]:
    """Return the libraries that the text of asv's page loads from the internet."""
    found = []
    for tag in _TAG.findall(page):
        address, integrity = _ADDRESS.search(tag), _INTEGRITY.search(tag)
        if address is not None:
            digests = "" if integrity is None else html.unescape(integrity[1])
            found.append(Library(html.unescape(address[1]), digests))
    return found


def fetch_libraries(
    page: str, folder: Path, progress: Progress = silent, *, timeout: float = 60
) -> list[Path]:
    """Download what ``page`` loads to ``folder``, where it is not there yet, and return the files.

    Raises
    ------
    InputError : a library cannot be fetched, or is not the one that asv names.
    """
    libraries = find_libraries(page)
    there = _files(libraries, folder)[0]
    for number, one in enumerate(libraries, 1):
        progress("libraries of asv's pages", number, len(libraries))
        if one not in there:
            there[one] = _fetch(one, folder / one.name, timeout)
    return [there[one] for one in libraries]


def use_libraries(pages: Path, folder: Path) -> Used:
    """Let asv's pages in ``pages`` load their libraries from beside them, where all are there.

    Where one is not in ``folder`` the pages stay as they are. A library is known by its digest,
    whatever its file's name; where no file has that, by its name, with or without ``.min``.
    """
    index = pages / "index.html"
    text = index.read_text(encoding="utf-8") if index.is_file() else ""
    libraries = find_libraries(text)
    files, alike = _files(libraries, folder)
    missing = tuple(one for one in libraries if one not in files and one not in alike)
    if missing or not libraries:
        return Used(missing, ())
    files |= alike
    places = {one: f"{BESIDE}/{number:02}-{one.name}" for number, one in enumerate(libraries)}
    for one, place in places.items():
        replace_file(pages / place, partial(shutil.copyfile, files[one]))
    by_address = {one.address: place for one, place in places.items()}
    write_text(index, _TAG.sub(partial(_beside, by_address), text))
    return Used((), tuple(alike))


def _beside(places: dict[str, str], tag: re.Match[str]) -> str:
    """Return a tag with the address of the copy, without what is for other hosts alone."""
    found = _ADDRESS.search(tag[0])
    place = None if found is None else places.get(html.unescape(found[1]))
    if found is None or place is None:
        return tag[0]
    kept = tag[0].replace(found[1], html.escape(place))
    return _FOR_OTHER_HOSTS.sub("", kept)


def _files(
    libraries: Sequence[Library], folder: Path
) -> tuple[dict[Library, Path], dict[Library, Path]]:
    """Return the files below ``folder`` that are the libraries, and for others those of the name.

    One without a digest is known by its name.
    """
    found: dict[Library, Path] = {}
    named: dict[Library, Path] = {}
    for path in sorted(folder.rglob("*")):
        if path.suffix not in _SUFFIXES or not path.is_file() or path.stat().st_size > _MOST_BYTES:
            continue
        content = path.read_bytes()
        for one in libraries:
            if one.accepts(content) or (not one.integrity and path.name == one.name):
                found.setdefault(one, path)
            elif path.name in (one.name, one.name.replace(".min.", ".")):
                named.setdefault(one, path)
    return found, {one: path for one, path in named.items() if one not in found}


def _fetch(one: Library, path: Path, timeout: float) -> Path:
    try:
        with urllib.request.urlopen(one.address, timeout=timeout) as source:
            content: bytes = source.read(_MOST_BYTES + 1)
    except OSError as error:  # urllib's errors derive from it
        raise InputError(
            f"{one.address} cannot be fetched ({error}): fill {path.parent} on a machine with the "
            "internet and copy it, or set "
            f"{VARIABLE} to another folder"
        ) from error
    if one.integrity and not one.accepts(content):
        raise InputError(
            f"{one.address} is not the library that asv names ({one.integrity}): nothing is kept "
            "of it; try again, or copy the folder from another machine"
        )
    return write_bytes(path, content)


def _digest(algorithm: str, content: bytes) -> str:
    """Return a digest as browsers write it; empty for an algorithm that they do not know."""
    if algorithm not in ("sha256", "sha384", "sha512"):
        return ""
    digest = hashlib.new(algorithm, content).digest()
    return f"{algorithm}-{base64.b64encode(digest).decode()}"
