// SPDX-License-Identifier: GPL-2.0-only
/*
 * The smallest module that does something: two functions and a licence.
 *
 * module_init() gives our function the second name init_module, module_exit() the name cleanup_module. The build
 * puts the addresses of these two into struct module (section .gnu.linkonce.this_module); the loader never searches
 * for them by name, it only follows those two relocations.
 */
#include <linux/init.h>
#include <linux/module.h>

static int __init minimal_init(void)
{
	pr_info("minimal: here I am\n");
	return 0;
}

static void __exit minimal_exit(void)
{
	pr_info("minimal: and gone\n");
}

module_init(minimal_init);
module_exit(minimal_exit);

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("The smallest module that says something");
