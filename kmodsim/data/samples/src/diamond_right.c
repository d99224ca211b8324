// SPDX-License-Identifier: GPL-2.0-only
/*
 * Right side of the diamond: takes one symbol of diamond_bottom. Neither side knows of the other.
 */
#include <linux/module.h>
#include "shared.h"

int diamond_right_number(void)
{
	return diamond_number() + 10;
}
EXPORT_SYMBOL(diamond_right_number);

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Right side of a diamond: uses bottom, used by top");
