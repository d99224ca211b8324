// SPDX-License-Identifier: GPL-2.0-only
/*
 * Calls a function that nobody has.
 *
 * The build warns; the loader refuses: "missing_symbol: Unknown symbol nobody_exports_this (err -2)". In daily life
 * this means: the module that has it is not loaded (insmod does not look for it, modprobe does), or this kernel was
 * built without it, or it is there but not exported.
 */
#include <linux/init.h>
#include <linux/module.h>

int nobody_exports_this(int x);

static int __init missing_symbol_init(void)
{
	return nobody_exports_this(1);
}

static void __exit missing_symbol_exit(void)
{
}

module_init(missing_symbol_init);
module_exit(missing_symbol_exit);

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Uses a symbol that nobody exports: refused");
