# SPDX-License-Identifier: GPL-2.0-only
"""The kernel functions that modules call, one small file a subject. Importing the package fills the table."""

from importlib import import_module
from pkgutil import iter_modules

for _subject in sorted(module.name for module in iter_modules(__path__)):
    import_module(f"{__name__}.{_subject}")
