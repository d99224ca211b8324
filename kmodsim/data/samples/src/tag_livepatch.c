// SPDX-License-Identifier: GPL-2.0-only
/*
 * The tag livepatch=Y in .modinfo: the taint K, and the loader keeps a copy of the file's section headers and symbols,
 * for a live patch is relocated again when what it patches is loaded.
 *
 * Nothing else here is special, and nothing is patched. The loader believes the tag.
 */
#include <linux/module.h>

MODULE_INFO(livepatch, "Y");
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Says that it is a live patch: taint K");
