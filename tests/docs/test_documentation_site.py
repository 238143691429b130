"""The documentation site builds without warnings and without anything from elsewhere."""

from __future__ import annotations

import doctest
import re
import subprocess
import sys
from html.parser import HTMLParser
from importlib.util import find_spec, module_from_spec, spec_from_file_location
from pathlib import Path

import pytest

from bench_core.cli import cli
from tests.cli.test_help import leaves
from tests.installed import ROOT

DOCS = ROOT / "docs"


class Page(HTMLParser):
    """Addresses that a page loads, and those that it links to."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.ids: set[str] = set()
        self.links: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        named = dict(attrs)
        if identifier := named.get("id"):
            self.ids.add(identifier)
        address = named.get("src") or named.get("href")
        if address is None:
            return
        link = tag == "a" or (tag == "link" and named.get("rel") in ("canonical", "search"))
        (self.links if link else self.loaded).append(address)


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    for package in ("sphinx", "myst_parser", "furo"):
        if find_spec(package) is None:
            pytest.skip(f"{package} is not installed (the docs extra)")
    folder = tmp_path_factory.mktemp("site")
    words = ("-m", "sphinx", "--fail-on-warning", "--keep-going", "--quiet", "--fresh-env")
    # A network that refuses every connection: nothing is fetched.
    script = (
        "import runpy, socket, sys\n"
        "def refuse(*_): raise OSError('no network in this test')\n"
        "socket.socket.connect = socket.create_connection = socket.getaddrinfo = refuse\n"
        "runpy.run_module('sphinx', run_name='__main__', alter_sys=True)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, *words[2:], str(DOCS), str(folder)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


@pytest.fixture(scope="module")
def pages(site: Path) -> dict[str, Page]:
    return {
        path.relative_to(site).as_posix(): Page(path.read_text(encoding="utf-8"))
        for path in site.rglob("*.html")
    }


def test_every_text_is_a_page(pages: dict[str, Page]) -> None:
    texts = {path.relative_to(DOCS).with_suffix(".html").as_posix() for path in DOCS.rglob("*.md")}
    assert texts <= set(pages)


def test_nothing_is_loaded_from_elsewhere(pages: dict[str, Page], site: Path) -> None:
    for name, page in pages.items():
        assert not [one for one in page.loaded if re.match(r"(https?:)?//", one)], name
    for path in site.rglob("*.css"):
        text = path.read_text(encoding="utf-8")
        assert not re.findall(r"@import|url\(['\"]?(?:https?:)?//", text), path.name


def test_links_within_the_site_lead_somewhere(pages: dict[str, Page], site: Path) -> None:
    for name, page in pages.items():
        for link in page.links:
            if re.match(r"[a-z]+:", link) or link == "#":
                continue
            path, _, anchor = link.partition("#")
            place = (site / name).parent / path if path else site / name
            target = place.resolve().relative_to(site.resolve()).as_posix()
            assert (site / target).exists(), f"{name}: {link}"
            # Pages that the theme makes have anchors that scripts fill.
            if anchor and target in pages and "genindex" not in target:
                assert anchor in pages[target].ids, f"{name}: {link}"


def test_every_command_and_public_name_is_in_the_reference(pages: dict[str, Page]) -> None:
    headings = pages["commands.html"].ids
    for words, _ in leaves(cli):
        assert f"ridgebench-{words.replace(' ', '-')}" in headings
    assert "bench_core.ridge.MultiTargetRidgeCV" in pages["api/ridge.html"].ids
    assert "bench_core.ridge.MultiTargetRidgeCV.fit" in pages["api/ridge.html"].ids
    assert "bench_core.strategies.check_strategy" in pages["api/fits.html"].ids
    assert "bench_core.records.Record" in pages["api/records.html"].ids


@pytest.mark.parametrize("name", ["docstrings", "further_pages", "outside_links"])
def test_examples_of_the_extensions(name: str) -> None:
    spec = spec_from_file_location(name, DOCS / "extensions" / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    found = doctest.testmod(module)
    assert found.attempted > 0
    assert found.failed == 0


def test_formulas_are_drawn_by_the_browser_itself(pages: dict[str, Page], site: Path) -> None:
    text = (site / "mathematics.html").read_text(encoding="utf-8")
    assert text.count("<math") > 20
    assert not [one for one in pages["mathematics.html"].loaded if "mathjax" in one.lower()]
    assert "$$" not in re.sub(r"<code.*?</code>", "", text, flags=re.DOTALL)
