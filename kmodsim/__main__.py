# SPDX-License-Identifier: GPL-2.0-only
"""``python -m kmodsim``: the same as the command ``kmodsim``."""

import sys

from .cli import main

if __name__ == "__main__":
    sys.exit(main())
