// SPDX-License-Identifier: GPL-2.0-only
/*
 * The tag livepatch=Y in .modinfo, which the build otherwise writes by itself: the taint K, and a copy of its ELF tables is kept.
 *
 * Nothing else here is special. The loader believes the tag.
 */
#include <linux/module.h>

MODULE_INFO(livepatch, "Y");
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Says that it is a live patch: taint K");
