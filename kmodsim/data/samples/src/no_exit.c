// SPDX-License-Identifier: GPL-2.0-only
/*
 * init without exit: once in, it stays. /proc/modules says [permanent].
 *
 * Nobody could undo what init did, so delete_module() answers EBUSY. rmmod -f insists (O_TRUNC) and taints (R).
 */
#include <linux/init.h>
#include <linux/module.h>

static int __init no_exit_init(void)
{
	pr_info("no_exit: I am here to stay\n");
	return 0;
}

module_init(no_exit_init);

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Has an init but no exit: permanent");
