# SPDX-License-Identifier: GPL-2.0-only
"""``modules.dep`` as text, which busybox reads and module-init-tools falls back to: ``path: path path``."""

from __future__ import annotations

from typing import NamedTuple

from ...errors import ENOENT, KernelError
from ..elf import host_error
from ..modprobe.log import decode


class Dependency(NamedTuple):
    """One line: a module's path and those of what it needs, as they are written, below the folder."""

    path: str
    needs: tuple[str, ...]

    @property
    def name(self) -> str:
        """The module's name: the file's up to the first dot, dashes as underscores."""
        return self.path.rpartition("/")[2].partition(".")[0].replace("-", "_")


def read(folder: str) -> list[Dependency]:
    """The lines in the file's order; ``KernelError`` when it cannot be read."""
    try:
        with open(f"{folder}/modules.dep", "rb") as file:
            text = decode(file.read())
    except (OSError, ValueError) as error:
        raise (host_error(error) if not isinstance(error, ValueError) else KernelError(ENOENT)) from None
    lines = (line.partition(":") for line in text.split("\n") if not line.lstrip().startswith("#"))
    return [Dependency(path.strip(), tuple(rest.split())) for path, colon, rest in lines if colon]
