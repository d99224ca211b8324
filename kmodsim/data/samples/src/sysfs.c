// SPDX-License-Identifier: GPL-2.0-only
/*
 * A folder in sysfs: /sys/kernel/sample with attributes, one value in each.
 *
 * A kobject is a folder, a kobj_attribute a file in it: show writes its text into a page, store gets what was written.
 * The mode decides who gets as far as the function. A group of attributes can have a name and is then a folder itself.
 */
#include <linux/init.h>
#include <linux/kernel.h>
#include <linux/kobject.h>
#include <linux/module.h>
#include <linux/string.h>
#include <linux/sysfs.h>

static struct kobject *folder;
static int level = 5;
static char label[16] = "none";
static unsigned int shown;

static ssize_t level_show(struct kobject *kobj, struct kobj_attribute *attribute, char *page)
{
	shown++;
	return sysfs_emit(page, "%d\n", level);
}

static ssize_t level_store(struct kobject *kobj, struct kobj_attribute *attribute, const char *text, size_t count)
{
	int value, error = kstrtoint(text, 0, &value);

	if (error)
		return error;
	if (value < 0 || value > 10)
		return -ERANGE;
	level = value;
	pr_info("sysfs: level is %d\n", level);
	return count;
}
static struct kobj_attribute level_attribute = __ATTR_RW(level);

static ssize_t label_show(struct kobject *kobj, struct kobj_attribute *attribute, char *page)
{
	return sysfs_emit(page, "%s\n", label);
}

static ssize_t label_store(struct kobject *kobj, struct kobj_attribute *attribute, const char *text, size_t count)
{
	if (count >= sizeof(label))
		return -ENOSPC;
	strscpy(label, text, sizeof(label));
	strim(label);
	pr_info("sysfs: %s/%s is \"%s\"\n", kobject_name(kobj), attribute->attr.name, label);
	return count;
}
static struct kobj_attribute label_attribute = __ATTR_RW(label);

static ssize_t shown_show(struct kobject *kobj, struct kobj_attribute *attribute, char *page)
{
	return sysfs_emit(page, "%u\n", shown);
}
static struct kobj_attribute shown_attribute = __ATTR_RO(shown);

static ssize_t reset_store(struct kobject *kobj, struct kobj_attribute *attribute, const char *text, size_t count)
{
	if (!sysfs_streq(text, "now"))		/* as strcmp(), but heedless of a newline at the end */
		return -EINVAL;
	shown = 0;
	level = 5;
	return count;
}
static struct kobj_attribute reset_attribute = __ATTR_WO(reset);

static struct attribute *attributes[] = {
	&level_attribute.attr,
	&label_attribute.attr,
	NULL,
};
static const struct attribute_group plain = { .attrs = attributes };

static struct attribute *more_attributes[] = {
	&shown_attribute.attr,
	&reset_attribute.attr,
	NULL,
};
static const struct attribute_group statistics = { .name = "statistics", .attrs = more_attributes };

static int __init sysfs_sample_init(void)
{
	int error;

	folder = kobject_create_and_add("sample", kernel_kobj);
	if (!folder)
		return -ENOMEM;
	error = sysfs_create_group(folder, &plain) ?: sysfs_create_group(folder, &statistics);
	if (error) {
		kobject_put(folder);
		return error;
	}
	pr_info("sysfs: /sys/kernel/%s is there\n", kobject_name(folder));
	return 0;
}

static void __exit sysfs_sample_exit(void)
{
	kobject_put(folder);			/* the last reference: folder and files go */
	pr_info("sysfs: gone\n");
}

module_init(sysfs_sample_init);
module_exit(sysfs_sample_exit);

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("A kobject with attributes in sysfs");
