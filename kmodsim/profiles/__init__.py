# SPDX-License-Identifier: GPL-2.0-only
"""The kernels known to the model: one folder each, written by ``kmodsim profile build`` (docs/profiles.md).

facts.json   small facts, read at once
keyring.der  the built-in trusted certificates, one DER after the other
exports.zlib what vmlinux exports: names, addresses, CRCs, licence and namespace
kallsyms.xz  every line of the booted kernel's /proc/kallsyms
"""
