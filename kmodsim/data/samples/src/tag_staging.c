// SPDX-License-Identifier: GPL-2.0-only
/*
 * The tag staging=Y in .modinfo, which the build writes by itself for what lies in drivers/staging: the taint C, and a
 * warning at each load.
 *
 * Nothing else here is special. The loader believes the tag.
 */
#include <linux/module.h>

MODULE_INFO(staging, "Y");
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Says that it comes from drivers/staging, where quality is unknown: taint C");
