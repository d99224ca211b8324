// SPDX-License-Identifier: GPL-2.0-only
/*
 * A weak reference: "use it if somebody has it".
 *
 * For an undefined symbol with STB_WEAK the loader accepts that nobody has it; its value is then 0, and we have to
 * look before we call. no_init has the other one, no_init_number: with insmod alone nobody has it either; modprobe
 * loads no_init first, for the build notes depends=no_init without caring that the reference is weak.
 */
#include <linux/init.h>
#include <linux/module.h>

extern int perhaps_somebody_has_this(void) __attribute__((weak));
extern const int no_init_number __attribute__((weak));

static int __init weak_symbol_init(void)
{
	if (perhaps_somebody_has_this)
		pr_info("weak_symbol: somebody says %d\n", perhaps_somebody_has_this());
	else
		pr_info("weak_symbol: nobody has it\n");
	if (&no_init_number)
		pr_info("weak_symbol: no_init is here, its number is %d\n", no_init_number);
	return 0;
}

static void __exit weak_symbol_exit(void)
{
	pr_info("weak_symbol: gone\n");
}

module_init(weak_symbol_init);
module_exit(weak_symbol_exit);

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Weak references: unresolved ones become 0");
