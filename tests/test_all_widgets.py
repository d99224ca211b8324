# SPDX-License-Identifier: GPL-2.0-only
"""What every widget of the table kmodsim.widgets.WIDGETS promises; each test runs for each of them."""

from __future__ import annotations

import ast
import inspect
import re
from importlib import import_module
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

import kmodsim.widgets
from kmodsim.widgets import WIDGETS
from tests.test_light_import import loaded_by

pytestmark = pytest.mark.core

FOLDER = Path(kmodsim.widgets.__file__).parent
# a file of the kernel's or kmod's source and a function in it
MODELLED = re.compile(r"[\w./-]+\.[chS]\b[^\n]{0,3}\b[a-z_]\w+")
GARBAGE = (
    "", " ", "=", "-", "0x", "9" * 40, "-1", "\0", "\udce4", "nö=ü", "a\nb\r\nc", "x" * 5000,
    '"', "'; rm -rf /", "<script>alert(1)</script>", "../../etc/passwd", "%s%n", "[[[", "*",
    "-- -r", "softdep", "alias x",
)  # fmt: skip


def widget(name: str) -> Any:
    pytest.importorskip("ipywidgets", reason="needs ipywidgets")
    return getattr(kmodsim.widgets, name)()


def texts(lab: Any) -> list[tuple[str, Any]]:
    """The controls that take any text."""
    import ipywidgets

    kinds = (ipywidgets.Text, ipywidgets.Textarea, ipywidgets.Combobox)
    return [(name, control) for name, control in lab.controls.items() if isinstance(control, kinds)]


def test_the_table_alone_is_light() -> None:
    loaded = loaded_by("import kmodsim.widgets; kmodsim.widgets.WIDGETS")
    assert not loaded & {"numpy", "ipywidgets", "IPython", "matplotlib"}


def test_the_table_has_every_lab_of_the_folder_and_no_other() -> None:
    """A class with a base called Lab is a widget; Lab itself is none."""
    found = {}
    for path in FOLDER.glob("*.py"):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.ClassDef) and "Lab" in {ast.unparse(base) for base in node.bases}:
                found[node.name] = path.stem
    assert {name: found.get(name, WIDGETS[name]) for name in WIDGETS} == WIDGETS
    assert found.keys() <= WIDGETS.keys()


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="NoSuchLab"):
        kmodsim.widgets.NoSuchLab
    assert set(WIDGETS) <= set(dir(kmodsim.widgets))


@pytest.mark.parametrize("name", WIDGETS)
def test_it_stands_alone_and_says_what_it_models(name: str) -> None:
    lab = widget(name)
    assert type(lab) is getattr(import_module(f"kmodsim.widgets.{WIDGETS[name]}"), name)
    assert lab.title and lab.text.strip()
    # a widget that asks first says it with the answer, which the static page has
    said = MODELLED.search(f"{lab.text}\n{lab.static()}")
    assert said, "no function of the kernel or kmod, with its file, in the text"


@pytest.mark.parametrize("name", WIDGETS)
def test_each_control_has_a_label_of_its_own(name: str) -> None:
    labels = [control.description for control in widget(name).controls.values()]
    assert labels and all(labels)
    assert len(set(labels)) == len(labels)


@pytest.mark.parametrize("name", WIDGETS)
def test_the_static_twin_and_its_pictures_are_sound(name: str) -> None:
    lab = widget(name)
    page = lab.static()
    assert lab.title.replace("'", "&#x27;") in page
    for picture in re.findall(r"<svg .*?</svg>", page, re.DOTALL):
        root = ElementTree.fromstring(picture)
        assert root.find("{http://www.w3.org/2000/svg}title") is not None, "a picture without a name"
    assert lab._repr_mimebundle_()["text/plain"] == lab.text


@pytest.mark.parametrize("name", WIDGETS)
def test_reset_brings_the_first_answer_back(name: str) -> None:
    lab = widget(name)
    start, values = lab.text, {key: control.value for key, control in lab.controls.items()}
    for control in lab.controls.values():
        others = [option for option in _others(control) if option != control.value]
        if others:
            control.value = others[0]
    lab.reset()
    assert {key: control.value for key, control in lab.controls.items()} == values
    assert lab.text == start


def _others(control: Any) -> list[Any]:
    """Values that the control may have."""
    if hasattr(control, "_options_values"):
        return list(control._options_values)
    if hasattr(control, "min"):
        return [control.min, control.max]
    return [not control.value] if isinstance(control.value, bool) else ["changed"]


@pytest.mark.parametrize("name", WIDGETS)
def test_every_value_that_can_be_chosen_is_answered(name: str) -> None:
    """Of each control, the others as they came up; of long lists twelve."""
    lab = widget(name)
    for key, control in lab.controls.items():
        for value in _others(control)[:12]:
            lab.controls[key].value = value
            assert lab.text.strip() and "Traceback" not in lab.text, (key, value)
        lab.reset()


@pytest.mark.parametrize("name", WIDGETS)
def test_garbage_is_answered_and_never_becomes_markup(name: str) -> None:
    lab = widget(name)
    for key, control in texts(lab):
        for garbage in GARBAGE:
            control.value = garbage
            assert lab.text.strip() and "Traceback" not in lab.text, (key, garbage)
            assert "<script>" not in lab.static(), key
        lab.reset()


def _arguments(name: str, module: str) -> dict[str, Any]:
    """How this widget is told which module to show; nothing where it shows none."""
    names = inspect.signature(getattr(kmodsim.widgets, name)).parameters
    given: dict[str, Any] = {key: module for key in ("module", "word", "path", "file") if key in names}
    return {**given, "modules": (module,)} if "modules" in names else given


@pytest.mark.parametrize("name", WIDGETS)
def test_a_real_driver_of_the_distribution_is_shown(name: str) -> None:
    """e1000, which comes along, with 5,500 relocation entries."""
    pytest.importorskip("ipywidgets", reason="needs ipywidgets")
    lab = getattr(kmodsim.widgets, name)(**_arguments(name, "e1000"))
    assert lab.text.strip() and "cannot be tried" not in lab.text
    if _arguments(name, "e1000"):
        assert "e1000" in lab.text
