# SPDX-License-Identifier: GPL-2.0-only
"""What the real tools say on the real kernel: sessions of commands, recorded in QEMU.

``python -m tests.realtools`` records ``commands.json`` anew. It needs qemu-system-x86_64, kmod, a static
busybox, dash, util-linux, and the kernel's package unpacked at a folder named by KMODSIM_PACKAGE_ROOT. No
KVM, no root.
"""
