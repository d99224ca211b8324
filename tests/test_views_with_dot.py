# SPDX-License-Identifier: GPL-2.0-only
"""The dependency graph where Graphviz is installed: its picture gets our name, description and colours."""

from __future__ import annotations

from collections.abc import Callable
from xml.etree import ElementTree

import pytest

from kmodsim.views.dependencies import dependency_graph

pytestmark = pytest.mark.tool

DIAMOND = {"top": ("left", "right"), "left": ("bottom",), "right": ("bottom",), "bottom": ()}


def test_with_dot_the_picture_is_dots_own(needs: Callable[[str], str]) -> None:
    needs("dot")
    view = dependency_graph(DIAMOND, {"bottom": 2})
    root = ElementTree.fromstring(view.svg)
    kinds = [element.get("class") for element in root.iter("{http://www.w3.org/2000/svg}g")]
    assert kinds.count("node") == 4
    assert kinds.count("edge uses") == 4
    assert view.note == ""
    assert root.get("role") == "img"
    ids = [element.get("id") for element in root.iter() if element.get("id")]
    assert len(ids) == len(set(ids))
    assert root.get("aria-labelledby").split() == ids[:2]
