"""Regressions as an Atom feed (RFC 4287), one entry for each change."""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from xml.etree import ElementTree

from bench_core.history.regressions import Change, Regressions
from bench_core.history.texts import (
    answer,
    case_text,
    range_text,
    size_text,
    state_text,
    what_text,
)

_ATOM = "http://www.w3.org/2005/Atom"


def as_atom(found: Regressions, *, title: str = "ridgebench: regressions", page: str = "") -> str:
    """Return the feed.

    A change keeps its identity while its commits, case and figure stay: readers show it once.

    Parameters
    ----------
    page : address of the page that entries link to; empty for none.
    """
    ElementTree.register_namespace("", _ATOM)
    feed = ElementTree.Element(_name("feed"))
    _add(feed, "title", title)
    _add(feed, "subtitle", answer(found))
    _add(feed, "id", _urn("feed", title))
    times = [_time(one) for one in found.changes]
    known = [one.seconds for one in found.order.commits if one.seconds is not None]
    _add(feed, "updated", max(times, default=_when(max(known, default=None))))
    _add(ElementTree.SubElement(feed, _name("author")), "name", "ridgebench")
    for change, time in zip(found.changes, times, strict=True):
        entry = ElementTree.SubElement(feed, _name("entry"))
        _add(
            entry,
            "title",
            f"{state_text(change)}: {what_text(change)} {size_text(change)}, {change.case}",
        )
        _add(entry, "id", _identity(change))
        _add(entry, "updated", time)
        if page:
            link = f"{page}#{change.last.full}"
            ElementTree.SubElement(entry, _name("link"), {"href": link})
        _add(entry, "summary", _summary(change, found))
    ElementTree.indent(feed)
    return ElementTree.tostring(feed, encoding="unicode", xml_declaration=True) + "\n"


def _summary(change: Change, found: Regressions) -> str:
    parts = [
        case_text(change, found),
        f"commits {range_text(change)} {change.last.subject}".strip(),
        *change.differs,
    ]
    return "; ".join(parts)


def _identity(change: Change) -> str:
    figure = None if change.figure is None else change.figure.name
    place = [change.machine, change.environment, change.case, change.detail]
    return _urn(change.kind, json.dumps([*place, figure, change.first.full]))


def _urn(kind: str, text: str) -> str:
    digest = hashlib.sha256(text.encode()).hexdigest()[:32]
    return f"urn:ridgebench:{kind}:{digest}"


def _time(change: Change) -> str:
    return _when(change.last.seconds)


def _when(seconds: float | None) -> str:
    return datetime.fromtimestamp(seconds or 0, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _name(tag: str) -> str:
    return f"{{{_ATOM}}}{tag}"


def _add(parent: ElementTree.Element, tag: str, text: str) -> None:
    """Add a text without the control characters that XML has no place for."""
    allowed = "".join(one for one in text if one in "\t\n" or ord(one) >= 32)
    ElementTree.SubElement(parent, _name(tag)).text = allowed
