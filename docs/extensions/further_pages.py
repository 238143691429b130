"""Pages that no list of the first page names yet: they are added to its end, so none is lost."""

from __future__ import annotations

import re
from collections.abc import Iterable

_LIST = re.compile(r"^```\{toctree\}\n(.*?)^```", re.MULTILINE | re.DOTALL)


def completed(text: str, pages: Iterable[str]) -> str:
    r"""Return the first page with a list of the pages that its lists do not name.

    >>> text = "# Title\n\n```{toctree}\n:hidden:\n\nfirst\n```\n"
    >>> completed(text, ["first", "index"]) == text
    True
    >>> print(completed("# Title\n", ["new", "api/ridge", "index"]))
    # Title
    <BLANKLINE>
    ```{toctree}
    :caption: More
    :hidden:
    <BLANKLINE>
    new
    ```
    <BLANKLINE>
    """
    listed = {line.strip() for block in _LIST.findall(text) for line in block.splitlines()}
    left = sorted(name for name in pages if "/" not in name and name not in {*listed, "index"})
    if not left:
        return text
    return "\n".join([text, "```{toctree}", ":caption: More", ":hidden:", "", *left, "```", ""])


def setup(app):
    """Have the first page's text completed as it is read."""

    def read(app, name, source):
        if name == "index":
            source[0] = completed(source[0], app.env.found_docs)

    app.connect("source-read", read)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
