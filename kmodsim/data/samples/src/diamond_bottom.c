// SPDX-License-Identifier: GPL-2.0-only
/*
 * What everything in the diamond stands on:
 *
 *            diamond_top
 *            /         \
 *   diamond_left    diamond_right
 *            \         /
 *           diamond_bottom
 *
 * Two modules use us, so our reference count becomes 2: one for each user, however many symbols it takes.
 */
#include <linux/module.h>
#include "shared.h"

int diamond_number(void)
{
	return 1;
}
EXPORT_SYMBOL(diamond_number);

/* A second symbol, used by diamond_left only: still one reference. */
int diamond_unit = 100;
EXPORT_SYMBOL(diamond_unit);

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Bottom of a diamond: used by left and right");
