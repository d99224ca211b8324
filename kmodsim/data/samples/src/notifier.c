// SPDX-License-Identifier: GPL-2.0-only
/*
 * Notifier chains: be told what happens elsewhere in the kernel, and make one's own.
 *
 * After this module is loaded each load and unload of another prints a line for each state it goes through. A callback
 * may also refuse: load it with refuse=NAME, and that module cannot be loaded any more (EPERM).
 * Higher priorities are called first.
 */
#include <linux/init.h>
#include <linux/module.h>
#include <linux/notifier.h>
#include <linux/reboot.h>
#include <linux/string.h>

static char *refuse;
module_param(refuse, charp, 0644);
MODULE_PARM_DESC(refuse, "name of a module that shall not be loaded");

static const char *const states[] = {
	[MODULE_STATE_LIVE] = "LIVE",
	[MODULE_STATE_COMING] = "COMING",
	[MODULE_STATE_GOING] = "GOING",
};

static int module_changes(struct notifier_block *block, unsigned long state, void *data)
{
	struct module *module = data;

	pr_info("notifier: %s is %s\n", module->name, states[state]);
	if (state == MODULE_STATE_COMING && refuse && !strcmp(module->name, refuse))
		return notifier_from_errno(-EPERM);
	return NOTIFY_OK;
}
static struct notifier_block on_module = { .notifier_call = module_changes };

static int machine_stops(struct notifier_block *block, unsigned long event, void *data)
{
	pr_info("notifier: the machine goes down, event %lu\n", event);
	return NOTIFY_DONE;
}
static struct notifier_block on_reboot = { .notifier_call = machine_stops };

/* A chain of our own: the first of the two to be called stops it. */
static BLOCKING_NOTIFIER_HEAD(chain);

static int early(struct notifier_block *block, unsigned long event, void *data)
{
	pr_info("notifier: early, event %lu: %s\n", event, (const char *)data);
	return event == 2 ? NOTIFY_STOP : NOTIFY_OK;
}
static struct notifier_block on_early = { .notifier_call = early, .priority = 10 };

static int late(struct notifier_block *block, unsigned long event, void *data)
{
	pr_info("notifier: late, event %lu: %s\n", event, (const char *)data);
	return NOTIFY_BAD;
}
static struct notifier_block on_late = { .notifier_call = late };

static int __init notifier_sample_init(void)
{
	int error, first, second;

	blocking_notifier_chain_register(&chain, &on_late);
	blocking_notifier_chain_register(&chain, &on_early);
	first = blocking_notifier_call_chain(&chain, 1, "to all");
	second = blocking_notifier_call_chain(&chain, 2, "to the first");
	pr_info("notifier: the chain answered %#x, %#x; as errno %d\n", first, second, notifier_to_errno(first));

	error = register_module_notifier(&on_module);
	if (error)
		return error;
	error = register_reboot_notifier(&on_reboot);
	if (error)
		unregister_module_notifier(&on_module);
	return error;
}

static void __exit notifier_sample_exit(void)
{
	int first = unregister_module_notifier(&on_module), second = unregister_module_notifier(&on_module);

	unregister_reboot_notifier(&on_reboot);
	pr_info("notifier: unregistered: %d, once more: %d\n", first, second);
}

module_init(notifier_sample_init);
module_exit(notifier_sample_exit);

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Notifier chains: told of other modules");
