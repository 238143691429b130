"""Docstrings of this project, as it writes them, to reStructuredText for autodoc.

Sections are underlined (numpydoc), an entry of a section is "name : what it is", `name` is a name
of Python, ``code`` is code, and an indented block is shown as it is. Nothing else is markup: a
star, a bar or a trailing underscore is itself.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise

_ENTRIES = ("Parameters", "Attributes", "Raises", "Warns", "Other Parameters")
_ENTRY = re.compile(r"(\S.*?) : (.*)")
_ARGUMENT = re.compile(r"`*\w[\w.]*`*(, `*\w[\w.]*`*)* : ")
_ITEM = re.compile(r"([-*]|\d+\.) +(.*)")
_CODE = re.compile(r"(``.+?``|`[^`\s][^`]*`)")
_NAME = re.compile(r"[A-Za-z_][\w.]*(\(\))?")

Lines = list[str]


def converted(lines: Sequence[str]) -> Lines:
    r"""Return the lines of a docstring as reStructuredText.

    >>> for line in converted(["Return x_.", "", "Raises", "------", "ValueError : x is *odd*."]):
    ...     print(line)
    Return x\_.
    <BLANKLINE>
    **Raises**
    <BLANKLINE>
    :py:obj:`ValueError`
        x is \*odd\*.
    <BLANKLINE>
    """
    found: Lines = []
    for title, body in _sections(list(lines)):
        if title:
            found += [f"**{title}**", ""]
        found += list(_entries(body) if title in _ENTRIES else _blocks(body))
    return found


def inline(text: str) -> str:
    r"""Return a text in which `name` and ``code`` alone are markup.

    >>> inline("`fit` sets coef_, |r| and ``a*b``; `a b` is code")
    ':py:obj:`fit` sets coef\\_, \\|r\\| and ``a*b``; ``a b`` is code'
    """
    pieces = _CODE.split(re.sub("::$", ":", text))
    for number, piece in enumerate(pieces):
        if number % 2 == 0:
            piece = re.sub(r"([\\*|`])", r"\\\1", piece)
            pieces[number] = re.sub(r"(\w)_(?!\w)", r"\1\\_", piece)
        elif not piece.startswith("``"):
            name = piece[1:-1]
            pieces[number] = f":py:obj:`{name}`" if _NAME.fullmatch(name) else f"``{name}``"
    # Markup ends at a word's end: "`fit`s" needs a break that is not seen.
    for number in range(1, len(pieces), 2):
        if pieces[number + 1][:1].isalnum():
            pieces[number + 1] = "\\ " + pieces[number + 1]
        if pieces[number - 1][-1:].isalnum():
            pieces[number - 1] += "\\ "
    return "".join(pieces)


def _sections(lines: Lines) -> Iterator[tuple[str, Lines]]:
    """Yield title and body of every section; what comes before the first has no title."""
    marks = [
        number
        for number, (title, under) in enumerate(pairwise(lines))
        if re.fullmatch("-{3,}", under) and re.fullmatch(r"[A-Z][\w ]*", title)
    ]
    yield "", lines[: marks[0]] if marks else lines
    for number, end in pairwise([*marks, len(lines)]):
        yield lines[number], lines[number + 2 : end]


def _entries(lines: Lines) -> Iterator[str]:
    """Yield a definition list of "name : text" entries; other lines before the first are text."""
    entries: list[tuple[str, Lines]] = []
    before: Lines = []
    for line in lines:
        match = None if line.startswith(" ") else _ENTRY.match(line)
        if match:
            entries.append((match[1], [match[2]]))
        elif entries:
            entries[-1][1].append(line.strip())
        else:
            before.append(line)
    yield from _blocks(before)
    for name, text in entries:
        names = ", ".join(inline(f"`{one}`" if "`" not in one else one) for one in name.split(", "))
        yield names
        yield "    " + inline(" ".join(word for word in text if word))
        yield ""


def _blocks(lines: Lines) -> Iterator[str]:
    """Yield paragraphs, lists, doctests and literal blocks."""
    for block in _split(lines):
        if block[0].lstrip().startswith(">>>"):
            indent = len(block[0]) - len(block[0].lstrip())
            yield from ["", *(line[indent:] for line in block), ""]
        elif block[0].startswith("  ") or block[0].startswith("|"):
            yield from ["::", "", *("    " + line for line in block), ""]
        elif _ITEM.match(block[0]):
            yield from _items(block)
        elif _ARGUMENT.match(block[0]):  # arguments below the summary, without a heading
            yield from _entries(block)
        else:
            plain = [line for line in block if not line.startswith("  ")]
            if len(plain) < len(block):  # a formula right below its sentence
                first = next(n for n, line in enumerate(block) if line.startswith("  "))
                rest = next((n for n in range(first, len(block)) if block[n][:1] != " "), None)
                yield from [inline(" ".join(block[:first])), "", "::", ""]
                yield from [*("    " + line for line in block[first:rest]), ""]
                if rest is not None:
                    yield from _blocks(block[rest:])
            else:
                yield from [inline(" ".join(block)), ""]


def _items(block: Lines) -> Iterator[str]:
    """Yield a list with one line an item."""
    items: Lines = []
    for line in block:
        if match := _ITEM.match(line):
            mark = match[1] if match[1] != "*" else "-"
            items.append(f"{mark} {match[2]}")
        else:
            items[-1] += " " + line.strip()
    for item in items:
        mark, _, text = item.partition(" ")
        yield f"{mark} {inline(text)}"
    yield ""


def _split(lines: Lines) -> Iterator[Lines]:
    block: Lines = []
    for line in [*lines, ""]:
        if line.strip():
            block.append(line)
        elif block:
            yield block
            block = []


def setup(app):
    """Have autodoc's docstrings converted."""

    def convert(app, what, name, obj, options, lines):
        lines[:] = converted(lines)

    app.connect("autodoc-process-docstring", convert)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
