// SPDX-License-Identifier: GPL-2.0-only
/*
 * Exports a symbol into a namespace.
 *
 * The namespace's name is stored beside the symbol's. Who wants to use the symbol has to write MODULE_IMPORT_NS()
 * into its source: a licence is a right, a namespace is an intention.
 */
#include <linux/module.h>
#include "shared.h"

int namespace_number(void)
{
	return 21;
}
EXPORT_SYMBOL_NS_GPL(namespace_number, COURSE);

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Exports a symbol in the namespace COURSE");
