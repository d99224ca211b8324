# SPDX-License-Identifier: GPL-2.0-only
"""Makes a profile: from a distribution's kernel packages and one boot of that kernel under QEMU."""
