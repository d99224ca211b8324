# SPDX-License-Identifier: GPL-2.0-only
"""Grading on top of nbgrader's own API and gradebook. The only part of the course that imports nbgrader."""
