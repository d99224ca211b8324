// SPDX-License-Identifier: GPL-2.0-only
/*
 * init returns what the parameter `error` says.
 *
 *   error=-19  (the default, -ENODEV: "my hardware is not here")  insmod: "No such device"; the module is gone again
 *   error=0    loads like any other
 *   error=1    positive: the kernel says that this is suspicious, prints a stack, and loads the module anyway
 *
 * After a failed init the exit function is never called: init has to clean up behind itself.
 */
#include <linux/errno.h>
#include <linux/init.h>
#include <linux/module.h>

static int error = -ENODEV;
module_param(error, int, 0444);
MODULE_PARM_DESC(error, "what init returns: 0, or a negative errno");

static int __init fail_init(void)
{
	pr_info("fail_init: init returns %d\n", error);
	return error;
}

static void __exit fail_exit(void)
{
	pr_info("fail_init: exit, so init had not failed\n");
}

module_init(fail_init);
module_exit(fail_exit);

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("init fails with the errno of your choice");
