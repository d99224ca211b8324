# SPDX-License-Identifier: GPL-2.0-only
"""Runs the init functions of all modules of the distribution: ``python -m tests.survey``."""
