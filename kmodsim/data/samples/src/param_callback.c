// SPDX-License-Identifier: GPL-2.0-only
/*
 * Parameters with operations of our own: the kernel calls our functions to set and to show them.
 *
 * `percent` refuses what is not between 0 and 100; `verbose` needs no value (KERNEL_PARAM_OPS_FL_NOARG).
 * A set operation runs at load time BEFORE init: it must not rely on anything that init prepares.
 */
#include <linux/init.h>
#include <linux/kernel.h>
#include <linux/module.h>
#include <linux/moduleparam.h>

static unsigned int percent = 50;
static int verbosity;

static int percent_set(const char *value, const struct kernel_param *kp)
{
	unsigned int number;
	int error = kstrtouint(value, 0, &number);

	if (error)
		return error;
	if (number > 100)
		return -EDOM;
	*(unsigned int *)kp->arg = number;
	return 0;
}

static const struct kernel_param_ops percent_ops = {
	.set = percent_set,
	.get = param_get_uint,
};
module_param_cb(percent, &percent_ops, &percent, 0644);
MODULE_PARM_DESC(percent, "a number from 0 to 100");

/* Each mention makes us more talkative; what stands after the = does not matter. */
static int verbose_set(const char *value, const struct kernel_param *kp)
{
	verbosity++;
	return 0;
}

static const struct kernel_param_ops verbose_ops = {
	.flags = KERNEL_PARAM_OPS_FL_NOARG,
	.set = verbose_set,
	.get = param_get_int,
};
module_param_cb(verbose, &verbose_ops, &verbosity, 0444);
MODULE_PARM_DESC(verbose, "say it once or more often");

static int __init param_callback_init(void)
{
	pr_info("param_callback: %u percent, verbose %d\n", percent, verbosity);
	return 0;
}

static void __exit param_callback_exit(void)
{
	pr_info("param_callback: gone\n");
}

module_init(param_callback_init);
module_exit(param_callback_exit);

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Parameters with set and get functions of their own");
