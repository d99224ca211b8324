// SPDX-License-Identifier: GPL-2.0-only
/*
 * A proprietary module that wants a GPL-only symbol of the kernel: ktime_get().
 *
 * The build refuses such a module (modpost: "GPL-incompatible module ... uses GPL-only symbol"). So it is built with
 * the licence below, and the build script then writes "Proprietary" over it in .modinfo. Now the loader has to
 * refuse: "Unknown symbol ktime_get (err -2)", for the search skips what is not for us.
 */
#include <linux/init.h>
#include <linux/ktime.h>
#include <linux/module.h>

static int __init proprietary_gpl_init(void)
{
	pr_info("proprietary_gpl: %s\n", ktime_get() > 0 ? "time goes on" : "time stands still");
	return 0;
}

static void __exit proprietary_gpl_exit(void)
{
}

module_init(proprietary_gpl_init);
module_exit(proprietary_gpl_exit);

MODULE_LICENSE("Dual MIT/GPL");
MODULE_DESCRIPTION("A proprietary licence and a GPL-only symbol: refused");
