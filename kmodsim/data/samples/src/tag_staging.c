// SPDX-License-Identifier: GPL-2.0-only
/*
 * The tag staging=Y in .modinfo, which the build otherwise writes by itself: the taint C, each time.
 *
 * Nothing else here is special. The loader believes the tag.
 */
#include <linux/module.h>

MODULE_INFO(staging, "Y");
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Says that it comes from drivers/staging, where quality is unknown: taint C");
