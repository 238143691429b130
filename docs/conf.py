"""The documentation site: `make docs` builds it, without a network and without warnings."""

import sys
from importlib.util import find_spec
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "extensions"))

from bench_core import __version__

project = "ridgebench"
author = "The ridgebench developers"
copyright = author
release = version = __version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    # docs/extensions
    "command_reference",
    "docstrings",
    "further_pages",
    "mathml",
    "outside_links",
]
exclude_patterns = ["extensions", "records"]

# Texts are Markdown as GitHub shows it; headings have the same anchors there.
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 4
highlight_language = "none"

# Docstrings: `name` is a name of Python, as everywhere in the code.
default_role = "py:obj"
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
python_use_unqualified_type_names = True
maximum_signature_line_length = 80
# Optional packages that are not here: their parts of the reference are there all the same.
autodoc_mock_imports = [
    name
    for name in ("av", "asv", "h5py", "himalaya", "matplotlib", "pandas", "safetensors", "torch")
    if find_spec(name) is None
]
# A class that two packages export has two entries; a reference to it takes the first.
suppress_warnings = ["ref.python"]

html_theme = "furo"
html_title = f"ridgebench {__version__}"
html_math_renderer = "mathml"  # docs/extensions/mathml.py: no scripts, no fonts from elsewhere
html_copy_source = False
html_show_sphinx = False
html_show_copyright = False
html_theme_options = {"navigation_with_keys": False}
