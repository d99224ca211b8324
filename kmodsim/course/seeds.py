# SPDX-License-Identifier: GPL-2.0-only
"""Whose variants: a name and perhaps a course's key in, the same random numbers out on every machine."""

from __future__ import annotations

import getpass
import hashlib
import os
from random import Random

STUDENT_VARIABLE = "NBGRADER_STUDENT"  # set by `kmodsim grade`; stock nbgrader sets none


def student() -> str:
    """nbgrader's student id while grading, otherwise the user's name."""
    try:
        return os.environ.get(STUDENT_VARIABLE) or getpass.getuser()
    except (OSError, KeyError):  # a container whose user has no name
        return "somebody"


def random_for(*words: object) -> Random:
    """A random source that depends on these words alone, on no machine and no version of Python's hash."""
    text = "\0".join(map(str, words)).encode("utf-8", "surrogatepass")
    return Random(int.from_bytes(hashlib.sha256(text).digest(), "big"))
