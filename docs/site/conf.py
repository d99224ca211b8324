# SPDX-License-Identifier: GPL-2.0-only
"""The readable site: the notebooks, executed, the documents, and the API. `make site` builds it, offline.

The source folder is the repository's root, so that every link between notebooks and documents is the same
here as in JupyterLab and in a repository browser.
"""

import json
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent

project = "Inside insmod"
author = "the authors of kmodsim"
project_copyright = "the authors; text CC BY-SA 4.0, code GPL-2.0-only"
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.viewcode"]
root_doc = "docs/index"
include_patterns = ["docs/*.md", "docs/api/*.md", "notebooks/*.ipynb", "exercises/*/*.ipynb", "README.md"]
exclude_patterns = ["**/.ipynb_checkpoints", ".venv", "build", "tests", "kmodsim", "solutions"]

# Notebooks: run here, each from top to bottom; an error ends the build. No kernel answers in a page, so a
# widget shows its static twin, which is its text/html; a widget's own view would want a script from the net.
nb_execution_mode = "cache"
# kept between builds: only what changed is run again
nb_execution_cache_path = str(ROOT / "build" / "notebook-cache")
nb_execution_timeout = 120
nb_execution_excludepatterns = ["exercises/*/*.ipynb"]  # nobody has written anything into them yet
nb_execution_raise_on_error = True
nb_ipywidgets_js = {}
nb_mime_priority_overrides = [
    ("html", "application/vnd.jupyter.widget-view+json", None),
    ("html", "text/html", 10),
]
nb_merge_streams = True

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 4
suppress_warnings = ["myst.header", "mystnb.unknown_mime_type"]

autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_preserve_defaults = True

html_theme = "furo"
html_title = "Inside insmod"
html_static_path = ["_static"]
html_css_files = ["site.css"]
html_show_sourcelink = False
html_copy_source = False
pygments_style = "a11y-light"
pygments_dark_style = "a11y-dark"


def fold(app, docname, source):
    """What JupyterLab folds (a cell that only puts numbers into a sentence) is folded in the page too."""
    if (ROOT / docname).with_suffix(".ipynb").is_file():
        notebook = json.loads(source[0])
        for cell in notebook["cells"]:
            if cell["metadata"].get("jupyter", {}).get("source_hidden"):
                cell["metadata"].setdefault("tags", []).append("hide-input")
        source[0] = json.dumps(notebook)


def setup(app):
    app.connect("source-read", fold)
