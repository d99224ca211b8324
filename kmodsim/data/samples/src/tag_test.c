// SPDX-License-Identifier: GPL-2.0-only
/*
 * The tag test=Y in .modinfo, which the build writes by itself for what lies in tools/testing: the taint N.
 *
 * Nothing else here is special. The loader believes the tag.
 */
#include <linux/module.h>

MODULE_INFO(test, "Y");
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Says that it is a test: taint N");
