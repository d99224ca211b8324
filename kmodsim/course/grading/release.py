# SPDX-License-Identifier: GPL-2.0-only
"""The learners' notebooks from the source notebooks: nbgrader's generate_assignment, all assignments in one
process.

``python -m kmodsim.course.grading.release`` in the course's folder is ``nbgrader generate_assignment
--no-db --force`` for every assignment; with ``--db`` the gradebook learns of them, which grading needs once.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any


def configuration(course: Path) -> Any:
    """The course's nbgrader_config.py with its root filled in, as traitlets' Config."""
    from traitlets.config import Config
    from traitlets.config.loader import PyFileConfigLoader

    # nbgrader runs alembic by its name to make a gradebook
    here, path = os.path.dirname(sys.executable), os.environ.get("PATH", os.defpath)
    if here not in path.split(os.pathsep):
        os.environ["PATH"] = os.pathsep.join([here, path])
    config: Any = Config()
    if (course / "nbgrader_config.py").is_file():
        config.merge(PyFileConfigLoader("nbgrader_config.py", path=str(course)).load_config())
    config.CourseDirectory.root = str(course)
    config.Application.log_level = "ERROR"
    return config


def release(
    course: Path,
    assignments: Sequence[str],
    database: bool = False,
    log_level: int = 40,
    release_directory: str = "",
) -> None:
    """Write exercises/<assignment>/ (or another folder) anew from solutions/<assignment>/; nbgrader's
    exceptions come out.
    """
    from nbgrader.converters import GenerateAssignment
    from nbgrader.coursedir import CourseDirectory

    for assignment in assignments:
        config = configuration(course)
        config.CourseDirectory.assignment_id = assignment
        if release_directory:
            config.CourseDirectory.release_directory = release_directory
        config.GenerateAssignment.no_database = not database
        config.SaveCells.enabled = database
        config.GenerateAssignment.create_assignment = True
        maker = GenerateAssignment(coursedir=CourseDirectory(config=config), config=config)
        maker.log.setLevel(log_level)
        maker.force = True
        maker.start()


def main(argv: Sequence[str] | None = None) -> int:
    """The command described above; returns the exit status."""
    from ..tasks import ASSIGNMENTS

    parser = argparse.ArgumentParser(prog="release", description=__doc__)
    parser.add_argument("course", nargs="?", type=Path, default=Path())
    parser.add_argument("--db", action="store_true", help="tell the gradebook, too")
    options = parser.parse_args(argv)
    release(options.course.resolve(), tuple(ASSIGNMENTS), options.db)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
