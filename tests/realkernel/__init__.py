# SPDX-License-Identifier: GPL-2.0-only
"""The recorder: a real Debian kernel in QEMU does what a plan says, and what it answered becomes JSON.

``record(boots, files)`` is the whole interface; ``python -m tests.realkernel`` the command. It needs
qemu-system-x86_64, gcc with a static C library, and the kernel's package unpacked (not installed) at a folder
named by the environment variable KMODSIM_PACKAGE_ROOT. No KVM, no root.
"""
