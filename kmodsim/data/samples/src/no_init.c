// SPDX-License-Identifier: GPL-2.0-only
/*
 * Neither init nor exit: one number for others to use.
 *
 * The loader skips the call and goes straight to LIVE. Unlike no_exit this one can be unloaded: there was no init
 * whose work would have to be undone.
 */
#include <linux/module.h>
#include "shared.h"

const int no_init_number = 7;
EXPORT_SYMBOL(no_init_number);

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Has neither init nor exit");
