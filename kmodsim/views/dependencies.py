# SPDX-License-Identifier: GPL-2.0-only
"""Who uses whom, drawn by Graphviz where ``dot`` is installed, by a plain layered drawing where it is not."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Mapping, Sequence
from functools import lru_cache

from .layers import layered
from .svg import FILLS, INK, STYLE, frame, identifier
from .view import View, columns, plural

MOST = 60  # nodes drawn; beyond, the neighbours of the focus
FALLBACK = "Drawn without Graphviz: no program dot on this machine (it arranges larger graphs better)."
_GRAPH_STYLE = (
    ".kms .uses path{stroke:var(--kms-fg)}.kms .uses polygon{stroke:var(--kms-fg);fill:var(--kms-fg)}"
    f".kms .node text{{fill:{INK};font-size:11px}}"
)


def dependency_graph(
    uses: Mapping[str, Sequence[str]],
    refcounts: Mapping[str, int] | None = None,
    focus: str | None = None,
    dot: bool = True,
    title: str = "Who uses whom",
) -> View:
    """An arrow from each module to the modules whose symbols it uses.

    ``uses``: module → modules it uses. ``refcounts``: shown below the name. ``focus``: the node to keep when
    there are more than 60 (default: the one with most edges). ``dot=False``: do not even try Graphviz.
    """
    kept, folded = _shorten(uses, focus)
    labels = {name: _label(name, refcounts) for name in kept}
    description = _describe(uses, refcounts)
    picture = _by_dot(_source(kept, labels)) if dot else None
    note = "" if picture or not dot else FALLBACK
    svg = _named(picture, title, description) if picture else layered(kept, labels, title, description)
    if folded:
        note = f"{note} {plural(folded, 'more module')} not drawn.".strip()
    return View(title, description, _text(uses, refcounts, title), svg, note=note)


def dot_source(uses: Mapping[str, Sequence[str]], refcounts: Mapping[str, int] | None = None) -> str:
    """The graph in Graphviz's language, for other programs."""
    return _source(
        {name: tuple(others) for name, others in uses.items()}, {n: _label(n, refcounts) for n in uses}
    )


def _label(name: str, refcounts: Mapping[str, int] | None) -> str:
    return f"{name}\nrefcount {refcounts[name]}" if refcounts and name in refcounts else name


def _shorten(uses: Mapping[str, Sequence[str]], focus: str | None) -> tuple[dict[str, tuple[str, ...]], int]:
    everything: dict[str, set[str]] = {}
    for name, others in uses.items():
        everything.setdefault(name, set()).update(others)
        for other in others:
            everything.setdefault(other, set())
    if len(everything) <= MOST:
        return {name: tuple(uses.get(name, ())) for name in everything}, 0
    near: dict[str, set[str]] = {name: set(others) for name, others in everything.items()}
    for name, targets in everything.items():
        for other in targets:
            near[other].add(name)
    start = focus if focus in near else max(near, key=lambda name: len(near[name]))
    keep, edge = [start], [start]
    while edge and len(keep) < MOST:
        fresh = [n for node in edge for n in sorted(near[node])]
        edge = [n for n in dict.fromkeys(fresh) if n not in keep][: MOST - len(keep)]
        keep += edge
    chosen = set(keep)
    return {n: tuple(o for o in uses.get(n, ()) if o in chosen) for n in keep}, len(everything) - len(keep)


def _source(uses: Mapping[str, Sequence[str]], labels: Mapping[str, str]) -> str:
    lines = [
        "digraph modules {",
        '  bgcolor="transparent"; rankdir="TB"; nodesep=0.35; ranksep=0.45;',
        f'  node [shape=box style="rounded,filled" fillcolor="{FILLS["good"]}" fontcolor="{INK}" '
        'fontname="DejaVu Sans" fontsize=11 margin="0.15,0.08"];',
        '  edge [class="uses" arrowsize=0.8];',
    ]
    lines += [f"  {_quote(name)} [label={_quote(labels.get(name, name))}];" for name in uses]
    lines += [f"  {_quote(name)} -> {_quote(other)};" for name, others in uses.items() for other in others]
    return "\n".join([*lines, "}", ""])


def _quote(name: str) -> str:
    return '"' + name.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


@lru_cache(maxsize=64)
def _run_dot(source: str) -> str:
    import graphviz

    return str(graphviz.Source(source).pipe(format="svg", encoding="utf-8", quiet=True))


def _by_dot(source: str) -> str | None:
    """SVG text from ``dot``, or None when the package or the program is missing or fails."""
    try:
        return _run_dot(source)
    except (ImportError, OSError, RuntimeError, subprocess.SubprocessError):
        return None


def _named(svg: str, title: str, description: str) -> str:
    """Graphviz's picture with our title, description and colours: lines follow the page's theme."""
    body = svg[svg.index("<svg") :]
    size = re.search(r'<svg width="(\d+)pt" height="(\d+)pt"\s+viewBox="([^"]*)"', body)
    inner = re.sub(r"<title>[^<]*</title>\n?", "", body[body.index(">") + 1 :])
    inner = re.sub(r"<!--.*?-->\n?", "", inner, flags=re.S)
    mark = identifier(inner)
    inner = re.sub(r'id="(\w+)"', rf'id="{mark}-\1"', inner)
    width, height, box = size.groups() if size else ("400", "300", "0 0 400 300")
    pixels = f'width="{round(int(width) * 4 / 3)}" height="{round(int(height) * 4 / 3)}" viewBox="{box}"'
    end = inner.rindex("</svg>")
    return frame(mark, pixels, title, description, inner[:end], STYLE + _GRAPH_STYLE)


def _describe(uses: Mapping[str, Sequence[str]], refcounts: Mapping[str, int] | None) -> str:
    edges = [f"{name} uses {', '.join(others)}" for name, others in uses.items() if others]
    if len(edges) > 12:
        edges = [*edges[:12], f"and {len(edges) - 12} more"]
    return ("; ".join(edges) or "No module uses another") + "."


def _text(uses: Mapping[str, Sequence[str]], refcounts: Mapping[str, int] | None, title: str) -> str:
    names = list(dict.fromkeys([*uses, *(other for others in uses.values() for other in others)]))
    rows = [("module", "uses", "used by", "refcount")]
    users: dict[str, list[str]] = {}
    for name, others in uses.items():
        for other in others:
            users.setdefault(other, []).append(name)
    for name in names:
        count = str(refcounts[name]) if refcounts and name in refcounts else ""
        rows.append((name, ",".join(uses.get(name, ())) or "-", ",".join(users.get(name, ())) or "-", count))
    return f"{title}\n{columns(rows, right=(3,))}"
