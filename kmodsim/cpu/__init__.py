# SPDX-License-Identifier: GPL-2.0-only
"""A processor for modules' own code: it runs in Unicorn, the kernel functions it calls in Python."""
