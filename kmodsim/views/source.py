# SPDX-License-Identifier: GPL-2.0-only
"""Code of kmodsim as it is, beside the place in the kernel that it models; what is shown so cannot drift."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from html import escape
from typing import Any

from ..functions import FUNCTIONS
from ..loader.pipeline import STAGES
from .view import View

# code looks like code wherever it is shown (an exported page has no font for <pre> in an output), and
# its lines are not broken; "highlight" is what the colours of JupyterLab, nbconvert and Sphinx ask for
_PRE = "font-family:var(--jp-code-font-family,monospace);font-size:.9em;white-space:pre;background:none"
ELIXIR = "https://elixir.bootlin.com/linux/v6.1/source/{}"  # where the kernel's file can be read


def source_of(what: Callable[..., Any] | str) -> View:
    """The source of a function, or of a stage or pure function by its name (``kmodsim.functions.FUNCTIONS``).

    ValueError: no stage and no pure function has this name.
    """
    function, models = _look_up(what) if isinstance(what, str) else (what, _named(what))
    code = inspect.getsource(function).rstrip()
    module = str(getattr(function, "__module__", "")).replace(".", "/")
    lines = code.count("\n") + 1
    title = f"{function.__name__} in {module}.py"
    description = f"{lines} lines of Python" + (f"; models {models}" if models else "")
    file = escape(ELIXIR.format(models.partition(":")[0]))
    link = f' <a href="{file}">the kernel\'s file</a>' if models else ""
    html = (
        f'<div class="kms-source" style="overflow-x:auto"><p style="margin:.2em 0"><b>{escape(title)}</b>: '
        f'{escape(description)}{link}</p><pre class="highlight" style="{_PRE}">{_coloured(code)}</pre></div>'
    )
    return View(title, description, f"{title}: {description}\n\n{code}", html=html)


def _look_up(name: str) -> tuple[Callable[..., Any], str]:
    if name in FUNCTIONS:
        return FUNCTIONS[name].function, FUNCTIONS[name].models
    for stage in STAGES:
        if stage.name == name:
            return stage.run, f"{stage.source}:{stage.function}"
    raise ValueError(f"no stage and no pure function is called {name!r}")


def _named(function: Callable[..., Any]) -> str:
    """The first place in the kernel that a function's docstring names, ``file.c:function``."""
    found = re.search(r"``([\w/.-]+\.[ch]:\w+)``", inspect.getdoc(function) or "")
    return found[1] if found else ""


def _coloured(code: str) -> str:
    """With the notebook's own classes for code, where Pygments is there (IPython brings it)."""
    try:
        from pygments import highlight  # type: ignore[import-untyped]
        from pygments.formatters import HtmlFormatter  # type: ignore[import-untyped]
        from pygments.lexers import PythonLexer  # type: ignore[import-untyped]
    except ImportError:
        return escape(code)
    return str(highlight(code, PythonLexer(), HtmlFormatter(nowrap=True, classprefix="")))
