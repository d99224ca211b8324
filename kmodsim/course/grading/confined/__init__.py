# SPDX-License-Identifier: GPL-2.0-only
"""What runs inside the confinement, beside learners' code. It knows no task, no test, no answer.

Only this folder, ``plain.py``, Python's own library and numpy are visible in there.
"""
