"""Tables of the documentation that tests hold against the record which they are made of."""

from __future__ import annotations

from collections.abc import Mapping


def filled(page: str, tables: Mapping[str, str]) -> str:
    """Return a page with tables between ``<!-- NAME: begin -->`` and ``<!-- NAME: end -->``."""
    for name, table in tables.items():
        begin, end = f"<!-- {name}: begin -->", f"<!-- {name}: end -->"
        before, rest = page.split(begin)
        _, after = rest.split(end)
        page = f"{before}{begin}\n{table}\n{end}{after}"
    return page
