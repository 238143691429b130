"""The site as tests read it: tags, ids, links, tables and texts of every page."""

from __future__ import annotations

from collections.abc import Sequence
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

from bench_core.records import EnvironmentRun
from bench_core.report.pages import write_site


class SitePage(HTMLParser):
    """One page: what it would fetch or follow, what it names, its tables and its words."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.source = text
        self.tags: list[str] = []
        self.ids: list[str] = []
        self.links: list[str] = []
        self.fetched: list[str] = []
        self.events: list[str] = []
        self.labels: list[str] = []
        self.rows: list[list[str]] = []
        self.text = ""
        self.unnamed_figures = 0
        self._in_cell = False
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        given = dict(attrs)
        self.ids += [str(given["id"])] if "id" in given else []
        self.unnamed_figures += tag == "svg" and not given.get("aria-label")
        for name, value in attrs:
            if name.startswith("on"):
                self.events.append(name)
            if value and name in ("src", "href", "xlink:href"):
                (self.links if tag == "a" else self.fetched).append(value)
        if tag == "tr":
            self.rows.append([])
        self._in_cell = tag in ("td", "th") or (self._in_cell and tag in ("a", "code"))
        if tag in ("td", "th"):
            self.rows[-1].append("")
        if ("role", "img") in attrs:
            self.labels.append(str(given.get("aria-label") or ""))

    def handle_endtag(self, tag: str) -> None:
        if tag in ("td", "th", "tr"):
            self._in_cell = False

    def handle_data(self, data: str) -> None:
        self.text += data
        if self._in_cell:
            self.rows[-1][-1] += data


def site_of(
    runs: Sequence[EnvironmentRun], path: Path, *arguments: Any, **options: Any
) -> dict[str, SitePage]:
    """Write a site to ``path`` and return its pages by the names of their sections."""
    return {name: SitePage(text) for name, text in texts_of(runs, path, *arguments, **options)}


def texts_of(
    runs: Sequence[EnvironmentRun], path: Path, *arguments: Any, **options: Any
) -> list[tuple[str, str]]:
    """Write a site to ``path`` and return the name and the HTML of its pages."""
    written = write_site(runs, path, *arguments, **options)
    names = ["answer", *(one.stem.removeprefix(f"{path.stem}-") for one in written[1:])]
    return [(name, one.read_text("utf-8")) for name, one in zip(names, written, strict=True)]
