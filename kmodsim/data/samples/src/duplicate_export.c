// SPDX-License-Identifier: GPL-2.0-only
/*
 * Exports chain_a_add, which chain_a exports as well.
 *
 * Whichever comes second is refused (ENOEXEC): "exports duplicate symbol chain_a_add (owned by chain_a)". The check
 * comes late, when the module is laid out and relocated: all that work is undone again.
 */
#include <linux/module.h>
#include "shared.h"

int chain_a_add(int x)
{
	return x + 1000;
}
EXPORT_SYMBOL(chain_a_add);

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Exports a symbol that chain_a exports too: the second is refused");
