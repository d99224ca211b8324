# SPDX-License-Identifier: GPL-2.0-only
"""What depends on the processor: relocation types, and later what is patched after relocation."""
