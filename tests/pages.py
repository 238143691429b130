"""Tables of the documentation that tests hold against the record which they are made of."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

DOCS = Path(__file__).parents[1] / "docs"


def filled(page: str, tables: Mapping[str, str]) -> str:
    """Return a page with tables between ``<!-- NAME: begin -->`` and ``<!-- NAME: end -->``."""
    for name, table in tables.items():
        begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
        before, rest = page.split(begin)
        _, after = rest.split(end)
        page = f"{before}{begin}\n{table}\n{end}{after}"
    return page


@dataclass(frozen=True)
class RecordedTable:
    """A table of a page, made of a record.

    record, page : files. place : name of the table's place in the page. table : makes it.
    """

    record: Path
    page: Path
    place: str
    table: Callable[[dict[str, Any]], str]

    def read(self) -> dict[str, Any]:
        """Return the record that is there."""
        found: dict[str, Any] = json.loads(self.record.read_text(encoding="utf-8"))
        return found

    def filled(self, text: str) -> str:
        """Return the text of the page with the table in its place."""
        return filled(text, {self.place: self.table(self.read())})

    def main(self, measure: Callable[[], dict[str, Any]]) -> None:
        """Measure, write the record and its table; with ``--page`` the table only."""
        if "--page" not in sys.argv[1:]:
            self.record.write_text(json.dumps(measure(), indent=1) + "\n")
            print(self.table(self.read()))
        self.page.write_text(self.filled(self.page.read_text(encoding="utf-8")), encoding="utf-8")
