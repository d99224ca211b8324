# SPDX-License-Identifier: GPL-2.0-only
"""The explorer as one HTML file: script, style and document in it, nothing fetched, no server needed."""

from __future__ import annotations

import base64
import re
from functools import cache
from html import escape
from pathlib import Path

from .document import Document
from .packing import packed

HERE = Path(__file__).parent
# each file imports only from those before it
SCRIPTS = (
    "numbers", "document", "memory", "relocate", "words", "link", "grid", "bytes", "tables", "panes",
    "controls", "details", "explorer",
)  # fmt: skip
_IMPORT = re.compile(r"^import \{[^}]*\} from '\./[a-z]+\.js';\n", re.MULTILINE)
_EXPORT = re.compile(r"^export (?=const|function|async|class)", re.MULTILINE)

# nothing from anywhere: a page that would ask for something is stopped by the browser itself
_POLICY = "default-src 'none'; script-src 'unsafe-inline'; style-src 'unsafe-inline'"
_PAGE_STYLE = """
:root { color-scheme: light dark; --jp-layout-color0: #fff; --jp-layout-color2: #eee;
  --jp-content-font-color1: #111; --jp-border-color1: #999; }
@media (prefers-color-scheme: dark) { :root { --jp-layout-color0: #16181c; --jp-layout-color2: #2b2f36;
  --jp-content-font-color1: #eee; --jp-border-color1: #667; } }
@media print { :root { --jp-layout-color0: #fff; --jp-content-font-color1: #000; } }
body { margin: 8px; background: var(--jp-layout-color0); color: var(--jp-content-font-color1); }
"""
_NO_SCRIPT = (
    "This page draws itself with JavaScript; <code>kmodsim explain</code> and "
    "<code>kmodsim disassemble</code> say much of it as text."
)
_START = """
const data = id => document.getElementById(id).textContent;
const block = Uint8Array.from(atob(data('kx-block')), letter => letter.charCodeAt(0));
explore(document.getElementById('kx-root'), data('kx-head'), block);
"""


@cache
def style() -> str:
    """The explorer's style sheet."""
    return (HERE / "explorer.css").read_text(encoding="utf-8")


@cache
def whole_script(*more: str) -> str:
    """The files of ``SCRIPTS`` (and ``more``) as one module: lines that import from each other fall away."""
    parts = [(HERE / f"{name}.js").read_text(encoding="utf-8") for name in (*SCRIPTS, *more)]
    return "\n".join(_EXPORT.sub("", _IMPORT.sub("", part)) for part in parts)


def explorer_page(document: Document) -> str:
    """A whole HTML page: opens from disk, light or dark as the reader's system, no network."""
    head, block = packed(document)
    title = escape(f"{document.name}: linked explorer".encode("utf-8", "replace").decode())
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<style>{_PAGE_STYLE}{style()}</style></head>\n"
        f'<body><main><div id="kx-root"><noscript>{_NO_SCRIPT}</noscript></div></main>\n'
        f'<script type="application/json" id="kx-head">{head.replace("<", chr(92) + "u003c")}</script>\n'
        f'<script type="text/plain" id="kx-block">{base64.b64encode(block).decode("ascii")}</script>\n'
        f'<script type="module">\n{whole_script()}\n{_START}</script></body></html>\n'
    )
