"""The site of several pages: sections rendered, figures and data beside them, nothing fetched.

The first page is ``STEM.html`` and the others are ``STEM-NAME.html``. What they need lies in
``STEM-files/`` and the records in ``STEM-records/``: all addresses are relative, so the site reads
from ``file://`` and from any host.
"""

from __future__ import annotations

import html
import re
import shutil
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from importlib.resources import files as package_files
from pathlib import Path

from bench_core import __version__
from bench_core.files import replace_file, write_text
from bench_core.history.asv_results import AsvResults
from bench_core.history.regressions import Regressions
from bench_core.records import EnvironmentRun
from bench_core.records.model import ModelRecord
from bench_core.report.answers import Answer
from bench_core.report.blocks import Block, Choice, Figure, Table, as_csv, columns_csv
from bench_core.report.charts import SCRIPT, Chart, bokeh_script, bokeh_version
from bench_core.report.sections import all_sections
from bench_core.report.site_data import INDEX, SiteData
from bench_core.report.templating import render

_STATIC = ("site.css", "tables.js", "choice.js", "picture.js", "chart.js")


@dataclass(frozen=True)
class Page:
    """One page: name and title of its section, address, content.

    Examples
    --------
    >>> Page("answer", "Answer", "ridgebench.html", ()).title
    'Answer'
    """

    name: str
    title: str
    address: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True)
class _Scripts:
    """Scripts of a page; ``bokeh`` is empty where there is no chart or no package."""

    bokeh: str
    version: str
    own: tuple[str, ...]


@dataclass(frozen=True)
class _Content:
    """What a page is written from: ``body`` as HTML, ``data`` as texts by the names of files."""

    name: str
    title: str
    address: str
    scripts: _Scripts
    body: str
    data: dict[str, str]


def write_site(
    runs: Sequence[EnvironmentRun],
    path: Path,
    history: Regressions | None = None,
    *,
    everything: Sequence[EnvironmentRun] | None = None,
    asv: AsvResults | None = None,
    feed: str = "",
    notes: Sequence[str] = (),
    answers: Sequence[Answer] | None = None,
    beside_asv: bool = True,
    models: Sequence[ModelRecord] = (),
) -> list[Path]:
    """Write the site whose first page is ``path``, and return its pages, the first one first.

    Pages of an earlier site there that have no content now are removed.

    Parameters
    ----------
    runs : to show, of one machine or several.
    history : what changed over commits; None leaves that page out.
    everything : runs of all commits, whose records are there to look at; None for ``runs``.
    asv : what asv's results have beside the records.
    feed : address of the Atom feed; empty for none.
    notes : shown below every page.
    answers : to show; None for all that the records give.
    beside_asv : whether asv's pages lie in the same folder.
    models : what the cost model says of machines; without any, that page is left out.
    """
    stem = path.stem
    whole = runs if everything is None else everything
    data = SiteData(runs, whole, stem, history, asv, chosen=answers, models=models)
    folder = path.parent
    files = folder / f"{stem}-files"
    # The blocks of one page alone are in memory, and nothing is replaced before all are made.
    pages = [_content(page, files.name) for page in _pages(data)]
    for old in [*folder.glob(f"{stem}-*.html"), *folder.glob(f"{stem}-records/*.html")]:
        old.unlink()
    _write_static(files, charts=any(page.scripts.bokeh for page in pages))
    commits = next((one.address for one in pages if one.name == "history"), "")
    written = []
    for page in pages:
        for name, text in page.data.items():
            write_text(files / name, text)
        text = render(
            "page.html",
            version=__version__,
            origins=data.origins,
            pages=pages,
            page=page,
            files=files.name,
            feed=feed,
            history=commits if page.name == INDEX else "",
            notes=notes,
            beside_asv=beside_asv,
        )
        written.append(write_text(folder / page.address, text))
    data.records.write(folder / f"{stem}-records", f"../{files.name}/site.css")
    return written


def build_pages(data: SiteData) -> list[Page]:
    """Return the pages of all sections with content, the first one always."""
    return list(_pages(data))


def _pages(data: SiteData) -> Iterator[Page]:
    for name, section in all_sections():
        blocks = tuple(section.build(data))
        if blocks or name == INDEX:
            named = tuple(_on_page(one) for one in blocks)
            yield Page(name, section.title, data.address(name), named)


def _content(page: Page, files: str) -> _Content:
    scripts = _scripts(page)
    body = render("blocks.html", page=page, files=files, scripts=scripts)
    return _Content(page.name, page.title, page.address, scripts, body, _data(page))


def _on_page(block: Block) -> Block:
    """Return a figure whose ids no other figure has, with its text alternative."""
    if not isinstance(block, Figure):
        return block
    svg = re.sub(r'(\bid="|url\(#|href="#)', rf"\1{block.name}-", block.svg)
    named = html.escape(f"{block.title}: {block.words or block.caption}")
    return replace(block, svg=svg.replace("<svg ", f'<svg role="img" aria-label="{named}" ', 1))


def _charts(page: Page) -> list[Chart]:
    return [one for one in page.blocks if isinstance(one, Chart)]


def _scripts(page: Page) -> _Scripts:
    choices = any(isinstance(one, Choice) for one in page.blocks)
    own = ["tables.js", *["choice.js"] * choices]
    if not _charts(page) or bokeh_script() is None:
        return _Scripts("", "", tuple(own))
    return _Scripts(SCRIPT, bokeh_version(), (*own, "picture.js", "chart.js"))


def _write_static(files: Path, *, charts: bool) -> None:
    """Write the style sheet, our own scripts and Bokeh's; remove data of an earlier site."""
    for old in [*files.glob("*.csv"), *files.glob("*.svg"), *files.glob("*.js")]:
        old.unlink()
    static = package_files("bench_core.report") / "static"
    for name in _STATIC:
        write_text(files / name, (static / name).read_text(encoding="utf-8"))
    bokeh = bokeh_script()
    if charts and bokeh is not None:
        replace_file(files / SCRIPT, lambda part: shutil.copyfile(bokeh, part))


def _data(page: Page) -> dict[str, str]:
    """Return figures as SVG, and tables and points as CSV, by the names of their files."""
    found = {f"{one.name}.svg": _alone(one.svg) for one in page.blocks if isinstance(one, Figure)}
    for table in _tables(page.blocks):
        found[f"{page.name}-{table.name}.csv"] = as_csv(table)
    for chart in _charts(page):
        found[f"{page.name}-{chart.name}-points.csv"] = columns_csv(chart.columns)
    return found


def _tables(blocks: Iterable[Block]) -> Iterator[Table]:
    for block in blocks:
        if isinstance(block, Table):
            yield block
        elif isinstance(block, Figure) and block.data is not None:
            yield block.data


def _alone(svg: str) -> str:
    """Return an ``<svg>`` of a page as a file of its own."""
    name = 'xmlns="http://www.w3.org/2000/svg"'
    return svg if name in svg[:2000] else svg.replace("<svg ", f"<svg {name} ", 1)
