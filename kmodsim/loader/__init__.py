# SPDX-License-Identifier: GPL-2.0-only
"""The loader: one room for each subject, the stages in ``pipeline.STAGES``."""

from .load import Load, SectionHeader
from .pipeline import STAGES, Stage

__all__ = ["STAGES", "Load", "SectionHeader", "Stage"]
