# SPDX-License-Identifier: GPL-2.0-only
"""Broken and odd module files and calls, made from the samples, and the checks of the loader they meet.

``editor`` changes fields of an ELF file in place, ``files`` names the files, ``cases`` the calls.
It shares no code with the loader, so that a misreading there cannot hide here.
"""
