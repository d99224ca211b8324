# SPDX-License-Identifier: GPL-2.0-only
"""The exercises' side of kmodsim: check a function of your own, practise, put it into the kernel.

    from kmodsim.course import boot, check, inputs, practice

    check("place_sections", place_sections)         what is right, and the first thing that is not, in words
    practice("place_sections", seed=7)              one more question with the stated variant's rule
    inputs("place_sections", "hello")               what arrives at this stage, all earlier ones solved
    boot(place_sections=place_sections)             a kernel in which your function carries real modules

Nothing here needs nbgrader. ``python -m kmodsim.course.edition`` builds the notebooks.
"""

from ..module import Layout
from .judge import check, claim
from .plain import Record
from .practice import practice
from .real import boot, inputs
from .seeds import student

__all__ = ["Layout", "Record", "boot", "check", "claim", "inputs", "practice", "student"]
