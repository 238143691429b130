"""Links from asv's own pages, as the installed asv has them."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from bench_core.report.asv_pages import link_from_asv

asv = pytest.importorskip("asv", reason="asv is the bench extra")


@pytest.fixture
def published(tmp_path: Path) -> Path:
    for name in ("index.html", "error.html"):
        shutil.copyfile(Path(asv.__file__).parent / "www" / name, tmp_path / name)
    return tmp_path


def test_navigation_and_error_page_lead_to_ours_once(published: Path) -> None:
    for _ in range(2):
        assert link_from_asv(published, "ridgebench.html") == []
    for name in ("index.html", "error.html"):
        text = (published / name).read_text("utf-8")
        assert text.count('href="ridgebench.html"') == 1
    bar = (published / "index.html").read_text("utf-8").partition('<nav id="nav"')[2]
    assert '<a href="ridgebench.html">' in bar.partition("</nav>")[0]


def test_pages_of_another_asv_are_named(published: Path) -> None:
    (published / "index.html").write_text("<html></html>")
    (published / "error.html").unlink()
    notes = link_from_asv(published, "ridgebench.html")
    assert [name in note for name, note in zip(("index", "error"), notes, strict=True)] == [
        True
    ] * 2
    assert (published / "index.html").read_text() == "<html></html>"
