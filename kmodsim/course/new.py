# SPDX-License-Identifier: GPL-2.0-only
"""``kmodsim course new DIR --secret FILE``: an edition of the course whose hidden inputs nobody can look up.

This repository is public, with all its inputs. The inputs of an edition's hidden claims and variants are
drawn from a secret as well. It stands, per claim, in DIR/solutions; what learners get is the same as ever.
"""

from __future__ import annotations

import argparse
import os
import secrets
import sys
from pathlib import Path

from . import edition

LEAST = 16  # bytes of a secret
CONFIG = '''\
# SPDX-License-Identifier: GPL-2.0-only
"""nbgrader's configuration of this course; `kmodsim grade` reads it, too."""

c = get_config()  # noqa: F821  (nbgrader gives it)
c.CourseDirectory.course_id = {course_id!r}
c.CourseDirectory.source_directory = "solutions"
c.CourseDirectory.release_directory = "exercises"
c.ExecutePreprocessor.timeout = 120
c.HTMLExporter.sanitize_html = True  # a learner's text may hold scripts; formgrader shows it to you
c.ClearSolutions.code_stub = {{"python": "# YOUR CODE HERE\\nraise NotImplementedError()"}}
'''


def read_secret(path: Path) -> bytes:
    """The secret in a file; a new one is made when there is no such file. ValueError for a short one."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        number = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(number, "w", encoding="ascii") as stream:
            stream.write(secrets.token_hex(32) + "\n")
    secret = path.read_bytes().strip()
    if len(secret) < LEAST:
        raise ValueError(f"{path}: a secret has at least {LEAST} bytes")
    return secret


def new(folder: Path, secret: bytes, course_id: str) -> list[Path]:
    """Write configuration and source notebooks; ValueError when there is a course already."""
    config = folder / "nbgrader_config.py"
    if config.exists():
        raise ValueError(f"{folder} is a course already")
    folder.mkdir(parents=True, exist_ok=True)
    config.write_text(CONFIG.format(course_id=course_id), encoding="utf-8")
    return edition.write(folder / "solutions", secret)


def main(argv: list[str] | None = None) -> int:
    """The command; returns the exit status."""
    parser = argparse.ArgumentParser(prog="kmodsim course", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    one = commands.add_parser("new", help="write an edition")
    one.add_argument("folder", type=Path)
    one.add_argument("--secret", type=Path, required=True, metavar="FILE", help="read, or made when missing")
    one.add_argument("--course-id", default="inside-insmod")
    options = parser.parse_args(argv)
    try:
        secret = read_secret(options.secret)
        paths = new(options.folder, secret, options.course_id)
    except (OSError, ValueError) as error:
        print(f"kmodsim: course: {error}", file=sys.stderr)
        return 1
    if options.folder.resolve() in options.secret.resolve().parents:
        print("kmodsim: the secret lies in the course's folder: do not hand that on")
    print(f"kmodsim: {len(paths)} assignments in {options.folder / 'solutions'}")
    print("kmodsim: for learners: python -m kmodsim.course.grading.release --db (in that folder)")
    return 0
