// SPDX-License-Identifier: GPL-2.0-only
/*
 * Left side of the diamond: takes two symbols of diamond_bottom, which costs diamond_bottom one reference.
 *
 * No init and no exit: a module may just offer functions.
 */
#include <linux/module.h>
#include "shared.h"

int diamond_left_number(void)
{
	return diamond_number() + diamond_unit;
}
EXPORT_SYMBOL(diamond_left_number);

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Left side of a diamond: uses bottom, used by top");
