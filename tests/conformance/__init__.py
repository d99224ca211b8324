# SPDX-License-Identifier: GPL-2.0-only
"""kmodsim beside the recorded real kernel, and beside other readers of the same files, as one table."""
