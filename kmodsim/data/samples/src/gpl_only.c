// SPDX-License-Identifier: GPL-2.0-only
/*
 * Two exports: one for everybody, one for GPL-compatible modules only.
 *
 * The difference is the section: __ksymtab or __ksymtab_gpl. A module whose licence is not GPL-compatible searches
 * only the first; for it the other symbol does not exist.
 */
#include <linux/module.h>
#include "shared.h"

int gpl_only_answer(void)
{
	return 42;
}
EXPORT_SYMBOL_GPL(gpl_only_answer);

int gpl_plain_answer(void)
{
	return 41;
}
EXPORT_SYMBOL(gpl_plain_answer);

MODULE_LICENSE("GPL v2");
MODULE_DESCRIPTION("Exports one symbol to all and one to GPL modules only");
