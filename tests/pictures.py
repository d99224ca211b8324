# SPDX-License-Identifier: GPL-2.0-only
"""What holds for every picture, for the tests of views."""

from __future__ import annotations

import re
from xml.etree import ElementTree

from kmodsim.views import View

SVG = "{http://www.w3.org/2000/svg}"


def assert_sound(view: View) -> None:
    """The SVG is XML with a name and a description, refers only to itself, and fetches nothing."""
    root = ElementTree.fromstring(view.svg)
    assert root.tag == SVG + "svg"
    assert root.get("role") == "img"
    ids = [element.get("id") for element in root.iter() if element.get("id")]
    assert len(ids) == len(set(ids)), "an identifier twice: patterns and labels would get lost"
    first, second = (root.find(SVG + tag) for tag in ("title", "desc"))
    assert [first.get("id"), second.get("id")] == root.get("aria-labelledby").split()
    assert first.text == view.title != ""
    assert second.text == view.description != ""
    used = set(re.findall(r"url\(#([^)]+)\)", view.svg))
    assert used <= set(ids), "a pattern or an arrow head that is not in the picture"
    assert not re.search(r"(href|src)=|<script|<image|@import|url\((?!#)", view.svg), "nothing from elsewhere"
