"""The site's sections, one file each: a page, its title, its place, and what it is made of.

A file of this folder with ``SECTION``, or an entry point in the group ``ridgebench.sections``, is
a page of the site; nothing else has to change. A section without content has no page.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from bench_core.plugins import Registry
from bench_core.report.blocks import Block
from bench_core.report.site_data import SiteData

GROUP = "ridgebench.sections"

_REGISTRY = Registry("section", "bench_core.report.sections", "SECTION", GROUP)


@dataclass(frozen=True)
class Section:
    """One page of the site.

    Parameters
    ----------
    title : in the navigation and above the page.
    order : place in the navigation, from 0.
    build : returns the page's content from the records, nothing where there is none.

    Examples
    --------
    >>> from bench_core.report.blocks import Text
    >>> section = Section("Mine", 90, lambda data: [Text(f"{len(data.rows)} fits")])
    >>> section.build(SiteData([], [], "ridgebench"))
    [Text(text='0 fits', style='', link=None)]
    """

    title: str
    order: int
    build: Callable[[SiteData], Sequence[Block]]


def all_sections() -> list[tuple[str, Section]]:
    """Return every section with its name, in the order of the navigation."""
    found = [(name, _REGISTRY.get(name)) for name in _REGISTRY.names()]
    return sorted(found, key=lambda one: (one[1].order, one[0]))
