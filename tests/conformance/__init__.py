# SPDX-License-Identifier: GPL-2.0-only
"""The whole distribution kernel's modules through the loader, held against other readers of the same files."""
