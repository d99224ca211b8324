# SPDX-License-Identifier: GPL-2.0-only
"""Drawing SVG by hand: shapes, text that fits, and colours for everybody.

The fills are near Okabe and Ito's, which people with colour-blindness tell apart; each meaning also has a
pattern, a sign or a word. Text on a fill is always dark, so it reads in light themes, in dark themes and on
paper. Everything outside a fill uses the page's own foreground and background (JupyterLab, VS Code, Sphinx's
furo), black on white where there is none.
"""

from __future__ import annotations

import zlib
from html import escape

WIDTH = 760  # what a notebook beside an open side bar has room for: text stays at its size
INK = "#111111"  # text on any fill below
FILLS: dict[str, str] = {
    "code": "#56b4e9",
    "rodata": "#f0e442",
    "roafter": "#d9a3c2",
    "data": "#e69f00",
    "good": "#5cc5a3",
    "bad": "#f58b4c",
    "plain": "#dddddd",
    "guard": "#b8b8b8",
    "taken": "#cccccc",
}
# fill -> pattern: path in an 8 x 8 tile, drawn thin and dark over the fill
PATTERNS: dict[str, str] = {
    "rodata": "M1 4h1.5M5 0h1.5M5 8h1.5",
    "roafter": "M0 8L8 0",
    "data": "M2 0V8M6 0V8",
    "bad": "M0 0L8 8",
    "guard": "M0 0L8 8M-2 6L2 10M6 -2L10 2",
    "taken": "M0 4H8",
}
MONO = "ui-monospace,'DejaVu Sans Mono',Menlo,Consolas,monospace"
SANS = "system-ui,'DejaVu Sans',Arial,sans-serif"
_FG = "var(--jp-content-font-color1,var(--vscode-foreground,var(--color-foreground-primary,#111111)))"
_BG = "var(--jp-layout-color0,var(--vscode-editor-background,var(--color-background-primary,#ffffff)))"

STYLE = (
    f".kms{{--kms-fg:{_FG};--kms-bg:{_BG};max-width:100%;height:auto;display:block}}"
    ".kms .bg{fill:var(--kms-bg)}"
    f".kms text{{font-family:{SANS};font-size:12px;fill:var(--kms-fg)}}"
    f".kms text.m{{font-family:{MONO};font-size:11px}}"
    ".kms text.b{font-weight:600}.kms text.s{font-size:10.5px}.kms text.big{font-size:15px;font-weight:600}"
    f".kms text.on{{fill:{INK}}}"
    ".kms .line{stroke:var(--kms-fg);fill:none;stroke-width:1.4}"
    ".kms .thin{stroke:var(--kms-fg);fill:none;stroke-width:.7;opacity:.55}"
    ".kms .tip{fill:var(--kms-fg)}"
    ".kms .off{fill:none;stroke:var(--kms-fg);stroke-dasharray:4 3;stroke-width:1}"
    f".kms .box{{stroke:{INK};stroke-width:1}}"
    ".kms .heavy{stroke-width:2.6}"
    + "".join(f".kms .f-{name}{{fill:{colour}}}" for name, colour in FILLS.items())
    + "@media print{.kms{--kms-fg:#000;--kms-bg:#fff}}"
)

_BACKGROUND = '<rect class="bg" width="100%" height="100%"/>'


class Drawing:
    """Collects SVG elements; ``svg`` closes them into one picture with title and description."""

    def __init__(self, width: int) -> None:
        self.width = width
        self.parts: list[str] = []
        self.used: set[str] = set()

    def add(self, element: str) -> None:
        self.parts.append(element)

    def rect(
        self,
        x: float,
        y: float,
        w: float,
        h: float,
        fill: str = "",
        *,
        css: str = "box",
        tip: str = "",
        radius: float = 0,
    ) -> None:
        """A rectangle; with a ``fill`` of FILLS it also gets that fill's pattern, ``tip`` shows on hover."""
        place = f'x="{x:.1f}" y="{y:.1f}" width="{max(w, 0.1):.1f}" height="{h:.1f}"'
        place += f' rx="{radius:g}"' if radius else ""
        hover = f"<title>{escape(tip)}</title>" if tip else ""
        cls = f"f-{fill} {css}" if fill else css
        self.add(f'<rect {place} class="{cls}">{hover}</rect>')
        if fill in PATTERNS:
            self.used.add(fill)
            self.add(f'<rect {place} fill="url(#@-{fill})" pointer-events="none"/>')

    def text(
        self, x: float, y: float, words: str, css: str = "", anchor: str = "start", room: float = 0
    ) -> None:
        """One line of text; ``room`` > 0: cut with an ellipsis to fit that many pixels."""
        if room:
            words = fit(words, room, css)
        self.add(
            f'<text x="{x:.1f}" y="{y:.1f}" class="{css}" text-anchor="{anchor}" xml:space="preserve">'
            f"{escape(words)}</text>"
        )

    def path(self, d: str, css: str = "line", arrow: bool = False) -> None:
        head = ' marker-end="url(#@-tip)"' if arrow else ""
        self.add(f'<path d="{d}" class="{css}"{head}/>')

    def svg(self, title: str, description: str, height: float) -> str:
        """The finished picture; identifiers come from its content, so pictures in a page do not collide."""
        body = "".join(self.parts)
        mark = identifier(title + description + body)
        tip = (
            f'<marker id="{mark}-tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="7" markerHeight="7" '
            'orient="auto-start-reverse"><path d="M0 0.5L8 4L0 7.5z" class="tip"/></marker>'
        )
        stroke = f'stroke="{INK}" stroke-width="1" stroke-opacity=".28" fill="none"'
        patterns = "".join(
            f'<pattern id="{mark}-{name}" width="8" height="8" patternUnits="userSpaceOnUse">'
            f'<path d="{PATTERNS[name]}" {stroke}/></pattern>'
            for name in sorted(self.used)
        )
        body = f"<defs>{tip}{patterns}</defs>" + _BACKGROUND + body.replace("url(#@-", f"url(#{mark}-")
        size = f'viewBox="0 0 {self.width} {height:.0f}" width="{self.width}" height="{height:.0f}"'
        return frame(mark, size, title, description, body)


def identifier(content: str) -> str:
    """An XML id made from ``content``: equal for equal pictures, different for different ones."""
    return f"k{zlib.crc32(content.encode()):08x}"


def frame(mark: str, size: str, title: str, description: str, body: str, style: str = STYLE) -> str:
    """The ``<svg>`` element around ``body``, named and described for screen readers."""
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" class="kms" role="img" {size} '
        f'aria-labelledby="{mark}-t {mark}-d"><title id="{mark}-t">{escape(title)}</title>'
        f'<desc id="{mark}-d">{escape(description)}</desc><style>{style}</style>{body}</svg>'
    )


# width of one character in pixels, a little generous, by class
_CHAR = {"m": 6.75, "s": 5.9, "big": 8.6, "b": 7.1}


def text_width(words: str, css: str = "") -> float:
    """About how wide a text is drawn: SVG has no way to ask without a browser."""
    per = [_CHAR[name] for name in css.split() if name in _CHAR]
    if {"m", "s"} <= set(css.split()):
        return len(words) * 6.4
    return len(words) * (per[0] if per else 6.7)


def fit(words: str, room: float, css: str = "") -> str:
    """``words``, cut with an ellipsis when wider than ``room`` pixels."""
    if text_width(words, css) <= room:
        return words
    keep = int(room / (text_width("x", css))) - 1
    return words[:keep] + "…" if keep > 0 else ""


def wrap(words: str, room: float, css: str = "", lines: int = 2, at: str = " ") -> list[str]:
    """``words`` in at most ``lines`` lines of ``room`` pixels, broken after ``at``; each is cut to fit."""
    out: list[str] = [""]
    pieces = words.replace(at, at + "\0").split("\0")
    for piece in pieces:
        if out[-1] and text_width((out[-1] + piece).rstrip(), css) > room and len(out) < lines:
            out.append("")
        out[-1] += piece
    return [fit(line.rstrip(), room, css) for line in out]
