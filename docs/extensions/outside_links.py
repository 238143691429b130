"""Links out of docs/, which GitHub follows: to a page of the site, or the name of a file."""

from __future__ import annotations

import re

PAGES = {"CHANGELOG.md": "changelog.md", "CONTRIBUTING.md": "contributing.md"}
_LINK = re.compile(r"\[([^\]]+)\]\(\.\./([^)#\s]+)[^)]*\)")


def replaced(text: str) -> str:
    """Return a page in which every link leads to another page, or is the name of a file.

    >>> replaced("see [how](../CONTRIBUTING.md) and [the types](../bench_core/records/record.py)")
    'see [how](contributing.md) and the types (`bench_core/records/record.py`)'
    """

    def one(match: re.Match[str]) -> str:
        words, path = match.groups()
        if path in PAGES:
            return f"[{words}]({PAGES[path]})"
        return words if path in words else f"{words} (`{path}`)"

    return _LINK.sub(one, text)


def setup(app):
    """Have every page's text replaced as it is read."""
    app.connect("source-read", lambda app, name, source: source.__setitem__(0, replaced(source[0])))
    return {"parallel_read_safe": True, "parallel_write_safe": True}
