"""Libraries of asv's own pages: known by their digests, fetched once, loaded from beside."""

from __future__ import annotations

import base64
import hashlib
import threading
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench_core.errors import InputError
from bench_core.report.asv_libraries import (
    BESIDE,
    VARIABLE,
    Library,
    Used,
    fetch_libraries,
    find_libraries,
    library_folder,
    use_libraries,
)

CONTENTS = {"jquery-3.3.1.min.js": b"window.first = 1;", "bootstrap.min.css": b"body {}"}


def _integrity(content: bytes, algorithm: str = "sha256") -> str:
    digest = hashlib.new(algorithm, content).digest()
    return f"{algorithm}-{base64.b64encode(digest).decode()}"


def make_page(address: str) -> str:
    """Return a page as asv's: a script, a style sheet and a local script."""
    script, style = CONTENTS
    return (
        "<!doctype html><html><head>\n"
        f'<script src="{address}/{script}" integrity="{_integrity(CONTENTS[script])}" '
        'crossorigin="anonymous" onerror="failed()"></script>\n'
        f'<link rel="stylesheet" href="{address}/{style}" crossorigin="anonymous" '
        f'integrity="{_integrity(CONTENTS[style], "sha512")}">\n'
        '<script src="asv.js"></script></head><body></body></html>\n'
    )


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Print nothing."""


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[Path, str]]:
    """Serve a folder with the libraries, and return both."""
    folder = tmp_path / "served"
    folder.mkdir()
    for name, content in CONTENTS.items():
        (folder / name).write_bytes(content)
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder))) as found:
        threading.Thread(target=found.serve_forever, daemon=True).start()
        yield folder, f"http://127.0.0.1:{found.server_port}"
        found.shutdown()


def test_what_is_fetched_once_is_not_fetched_again(
    server: tuple[Path, str], tmp_path: Path
) -> None:
    served, address = server
    page, folder = make_page(address), tmp_path / "kept"
    files = fetch_libraries(page, folder)
    assert {path.name: path.read_bytes() for path in files} == CONTENTS
    for path in served.iterdir():
        path.unlink()
    assert fetch_libraries(page, folder) == files


def test_another_file_than_asv_names_is_refused_and_not_kept(
    server: tuple[Path, str], tmp_path: Path
) -> None:
    served, address = server
    (served / "jquery-3.3.1.min.js").write_bytes(b"window.first = 2;")
    with pytest.raises(InputError, match=r"jquery-3\.3\.1\.min\.js"):
        fetch_libraries(make_page(address), tmp_path / "kept")
    assert not list((tmp_path / "kept").rglob("*.js"))


def test_an_address_that_does_not_answer_is_named(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"127\.0\.0\.1:9/jquery") as caught:
        fetch_libraries(make_page("http://127.0.0.1:9"), tmp_path / "kept", timeout=5)
    assert VARIABLE in str(caught.value)


def test_pages_load_what_lies_beside_them(tmp_path: Path) -> None:
    folder = tmp_path / "kept" / "deep"
    folder.mkdir(parents=True)
    for number, content in enumerate(CONTENTS.values()):  # under other names
        (folder / f"{number}.{'css' if number else 'js'}").write_bytes(content)
    index = tmp_path / "html" / "index.html"
    index.parent.mkdir()
    index.write_text(make_page("https://example.org/a"))
    assert use_libraries(index.parent, tmp_path / "kept") == Used((), ())
    text = index.read_text()
    assert find_libraries(text) == []
    assert "example.org" not in text
    assert "integrity" not in text
    assert "crossorigin" not in text
    assert text.count("onerror") == 1
    assert '<script src="asv.js"></script>' in text
    copies = sorted((index.parent / BESIDE).iterdir())
    assert [path.read_bytes() for path in copies] == list(CONTENTS.values())
    assert all(f'"{BESIDE}/{path.name}"' in text for path in copies)


def test_pages_stay_as_they_are_where_a_library_is_missing(tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "jquery-3.3.1.min.js").write_bytes(CONTENTS["jquery-3.3.1.min.js"])
    (tmp_path / "kept" / "other.min.css").write_bytes(b"another")
    index = tmp_path / "index.html"
    index.write_text(before := make_page("https://example.org"))
    used = use_libraries(tmp_path, tmp_path / "kept")
    assert [one.name for one in used.missing] == ["bootstrap.min.css"]
    assert index.read_text() == before
    assert not (tmp_path / BESIDE).exists()
    assert len(use_libraries(tmp_path, tmp_path / "nowhere").missing) == 2


def test_a_file_of_the_same_name_stands_for_a_library_and_is_named(tmp_path: Path) -> None:
    kept = tmp_path / "node_modules"
    kept.mkdir()
    (kept / "jquery-3.3.1.min.js").write_bytes(CONTENTS["jquery-3.3.1.min.js"])
    (kept / "bootstrap.css").write_bytes(b"body { }")
    (tmp_path / "index.html").write_text(make_page("https://example.org"))
    used = use_libraries(tmp_path, kept)
    assert used.missing == ()
    assert [one.name for one in used.alike] == ["bootstrap.min.css"]
    assert "bootstrap.min.css" in used.note
    copies = sorted((tmp_path / BESIDE).iterdir())
    assert copies[1].read_bytes() == b"body { }"
    (kept / "0.css").write_bytes(CONTENTS["bootstrap.min.css"])  # the very file goes first
    (tmp_path / "index.html").write_text(make_page("https://example.org"))
    assert use_libraries(tmp_path, kept) == Used((), ())
    assert copies[1].read_bytes() == CONTENTS["bootstrap.min.css"]


def test_a_library_without_a_digest_is_known_by_its_name(tmp_path: Path) -> None:
    (tmp_path / "one.js").write_bytes(b"1")
    index = tmp_path / "html" / "index.html"
    index.parent.mkdir()
    index.write_text('<script src="https://example.org/one.js?v=2"></script>')
    assert use_libraries(index.parent, tmp_path) == Used((), ())
    assert index.read_text() == f'<script src="{BESIDE}/00-one.js"></script>'


@given(st.binary(max_size=50), st.binary(max_size=50), st.sampled_from(["256", "384", "512"]))
def test_a_digest_is_of_its_content_alone(one: bytes, other: bytes, bits: str) -> None:
    library = Library("https://example.org/x.js", f"md5-x {_integrity(one, 'sha' + bits)}")
    assert library.accepts(one)
    assert library.accepts(other) == (one == other)


def test_the_installed_asv_names_a_digest_for_each_of_its_libraries() -> None:
    asv = pytest.importorskip("asv", reason="asv is the bench extra")
    page = (Path(asv.__file__).parent / "www" / "index.html").read_text("utf-8")
    found = find_libraries(page)
    assert len(found) >= 8
    assert all(one.integrity.startswith("sha") for one in found)
    assert len({one.name for one in found}) == len(found)


def test_the_folder_is_the_users_choice(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setenv("RIDGEBENCH_CACHE", str(tmp_path / "cache"))
    assert library_folder() == tmp_path / "cache" / "asv-libraries"
    monkeypatch.setenv(VARIABLE, str(tmp_path / "own"))
    assert library_folder() == tmp_path / "own"
