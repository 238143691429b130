"""What a page of the site is made of: texts, tables, figures, charts.

A section returns blocks; one template shows them. All texts are shown as they are: none is markup.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal, TypeAlias

from bench_core.errors import readable_bytes
from bench_core.report.charts import Chart
from bench_core.report.units import seconds_text

_FORMULAS = ("=", "+", "-", "@", "\t", "\r")
"""With these a spreadsheet begins a formula."""

_WORDS = re.compile(r"(?:'[^']*'|\"[^\"]*\"|\S)+")


@dataclass(frozen=True)
class Text:
    """A paragraph; ``link`` is an address that follows it, with its words.

    Examples
    --------
    >>> Text("Medians of repeats.", "faint").kind
    'text'
    """

    kind: ClassVar[str] = "text"
    text: str
    style: Literal["", "faint", "warning"] = ""
    link: tuple[str, str] | None = None


@dataclass(frozen=True)
class Heading:
    """A heading within a page; ``name`` is its address there.

    Examples
    --------
    >>> Heading("Versions", "versions").kind
    'heading'
    """

    kind: ClassVar[str] = "heading"
    text: str
    name: str


@dataclass(frozen=True)
class Card:
    """A framed answer: title, the answer itself, sentences, warnings, and a command.

    Examples
    --------
    >>> Card("mine", "bmor: 2 s", (), command="ridgebench fit bmor 'my data' --nodes 2").words
    ['ridgebench', 'fit', 'bmor', "'my data'", '--nodes', '2']
    """

    kind: ClassVar[str] = "card"
    title: str
    strong: str
    texts: tuple[str, ...]
    warnings: tuple[str, ...] = ()
    command: str = ""

    @property
    def words(self) -> list[str]:
        """Words of the command as it is written, quotes included: lines break between them."""
        return _WORDS.findall(self.command)


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell of a table.

    Parameters
    ----------
    text : as it is shown.
    value : number behind the text, by which the column is sorted and which the CSV has.
    link : address; empty for none.

    Examples
    --------
    >>> Cell("1.2 s", 1.23456).value
    1.23456
    """

    text: str
    value: float | None = None
    link: str = ""


@dataclass(frozen=True, slots=True)
class TableRow:
    """Cells of a row, its address on the page, and its status ("failed", "skipped" …).

    Examples
    --------
    >>> TableRow((Cell("parcels"),)).status
    ''
    """

    cells: tuple[Cell, ...]
    name: str = ""
    status: str = ""


@dataclass(frozen=True)
class Table:
    r"""A table that readers sort and filter.

    Parameters
    ----------
    name : unique on the page; also of its CSV file.
    folded : words to open it by; empty for a table that is open.
    most : rows that the page shows; the CSV file has all, and the page says so.

    Examples
    --------
    >>> table = Table("fits", ("problem", "time"), rows_of([["parcels", Cell("1.2 s", 1.234)]]))
    >>> as_csv(table)
    'problem,time\nparcels,1.234\n'
    """

    kind: ClassVar[str] = "table"
    name: str
    headings: tuple[str, ...]
    rows: tuple[TableRow, ...]
    caption: str = ""
    folded: str = ""
    most: int = 500

    @property
    def numeric(self) -> tuple[bool, ...]:
        """For every column, whether it holds numbers."""
        return tuple(
            any(row.cells[n].value is not None for row in self.rows)
            for n in range(len(self.headings))
        )

    @property
    def shown(self) -> tuple[TableRow, ...]:
        """The rows that the page has."""
        return self.rows[: self.most]


@dataclass(frozen=True)
class Figure:
    """A picture as SVG, with its words for those who do not see it, and its data.

    Examples
    --------
    >>> Figure("phases", "Phases", "<svg></svg>", "Where the time goes.").words
    ''
    """

    kind: ClassVar[str] = "figure"
    name: str
    title: str
    svg: str
    caption: str
    words: str = ""
    data: Table | None = None


@dataclass(frozen=True)
class Choice:
    """Lists to choose two sides of a comparison from, and the comparisons, as JSON's own types.

    ``static/choice.js`` shows them; `bench_core.report.choice` makes them.

    Examples
    --------
    >>> Choice("choice", "Choose two", {"what": []}).kind
    'choice'
    """

    kind: ClassVar[str] = "choice"
    name: str
    title: str
    data: dict[str, Any]


@dataclass(frozen=True)
class Markup:
    """HTML that a template of ridgebench made, escaped there.

    Examples
    --------
    >>> Markup("<p>made by a template</p>").kind
    'markup'
    """

    kind: ClassVar[str] = "markup"
    html: str


Block: TypeAlias = Text | Heading | Card | Table | Figure | Chart | Choice | Markup


def rows_of(rows: Iterable[Sequence[str | Cell]]) -> tuple[TableRow, ...]:
    """Return rows of cells from texts and cells."""
    return tuple(
        TableRow(tuple(one if isinstance(one, Cell) else Cell(one) for one in row)) for row in rows
    )


def number(value: float | None, form: str) -> Cell:
    """Return the cell of a number in a format; empty for None."""
    return Cell("") if value is None else Cell(format(value, form), float(value))


def seconds_cell(value: float, link: str = "") -> Cell:
    """Return the cell of a time in seconds, with its unit."""
    return Cell(seconds_text(value), value, link)


def bytes_cell(count: int | None) -> Cell:
    """Return the cell of a number of bytes, with its unit; empty for None."""
    return Cell("") if count is None else Cell(readable_bytes(count), float(count))


def as_csv(table: Table) -> str:
    """Return all rows of a table as CSV: numbers whole, texts as no spreadsheet takes for formulas.

    A text that begins with ``=``, ``+``, ``-`` or ``@`` gets an apostrophe in front.
    """
    values = (
        [cell.text if cell.value is None else cell.value for cell in row.cells]
        for row in table.rows
    )
    return _csv(table.headings, values)


def columns_csv(columns: Mapping[str, Sequence[str | float | None]]) -> str:
    r"""Return columns of one length as CSV, as `as_csv`; None is an empty cell.

    >>> columns_csv({"problem": ["parcels", None], "seconds": [1.5, None]})
    'problem,seconds\nparcels,1.5\n,\n'
    """
    return _csv(tuple(columns), zip(*columns.values(), strict=True))


def _csv(headings: Sequence[str], rows: Iterable[Iterable[str | float | None]]) -> str:
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(headings)
    for row in rows:
        writer.writerow(["" if one is None else _plain(one) for one in row])
    return out.getvalue()


def _plain(value: str | float) -> str:
    if not isinstance(value, str):
        return repr(float(value))
    return f"'{value}" if value.startswith(_FORMULAS) else value
