"""Links from asv's own pages to ours, also where asv's libraries cannot be loaded."""

from __future__ import annotations

import html
from pathlib import Path

from bench_core.files import write_text

_BAR = '<ul class="nav navbar-nav navbar-left">'
"""Of asv 0.6's navigation, whose entries are list items."""


def link_from_asv(folder: Path, page: str) -> list[str]:
    """Put a link to ``page`` into asv's navigation and its page of errors, once.

    asv shows that page of errors instead of all others where it cannot load its libraries from the
    internet. Returns a line for each of the two that has no place for the link.
    """
    address = html.escape(page)
    entry = f'<li id="nav-li-ridgebench"><a href="{address}">ridgebench: answers</a></li>'
    offline = (
        f'<p>The pages of ridgebench need no network: <a href="{address}">answers, scaling, '
        "comparisons, history</a>.</p>"
    )
    notes = []
    for name, mark, added in (
        ("index.html", _BAR, f"{_BAR}\n        {entry}"),
        ("error.html", "</body>", f"{offline}\n  </body>"),
    ):
        path = folder / name
        text = path.read_text(encoding="utf-8") if path.is_file() else ""
        if f'href="{address}"' in text:
            continue
        if mark not in text:
            notes.append(f"asv's {name} has no place for a link to {page}: open {page} itself")
            continue
        write_text(path, text.replace(mark, added, 1))
    return notes
