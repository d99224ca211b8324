// SPDX-License-Identifier: GPL-2.0-only
/*
 * Files for the developer: /sys/kernel/debug/sample (mount -t debugfs none /sys/kernel/debug).
 *
 * One line makes a file from a variable. Nothing here is an interface that anybody may rely on, so nobody checks for
 * errors: without debugfs these calls do nothing.
 */
#include <linux/debugfs.h>
#include <linux/fs.h>
#include <linux/init.h>
#include <linux/module.h>
#include <linux/seq_file.h>
#include <linux/uaccess.h>

static struct dentry *folder;
static u8 small = 200;
static u32 number = 42;
static u64 large = 1ULL << 40;
static u32 mask = 0xbeef;
static bool flag = true;
static atomic_t counter = ATOMIC_INIT(7);

static u8 bytes[] = { 0xde, 0xad, 0x00, 0xff, 'o', 'k' };
static struct debugfs_blob_wrapper blob = { .data = bytes, .size = sizeof(bytes) };

static u32 elements[] = { 1, 1, 2, 3, 5, 8 };
static struct debugfs_u32_array array = { .array = elements, .n_elements = ARRAY_SIZE(elements) };

/* A file whose every access calls a function. */
static int twice_get(void *data, u64 *value)
{
	*value = 2 * *(u32 *)data;
	return 0;
}

static int twice_set(void *data, u64 value)
{
	if (value & 1)
		return -EDOM;
	*(u32 *)data = value / 2;
	pr_info("debugfs: number is %u\n", number);
	return 0;
}
DEFINE_DEBUGFS_ATTRIBUTE(twice_fops, twice_get, twice_set, "%llu\n");

static int state_show(struct seq_file *file, void *unused)
{
	seq_printf(file, "number %u, mask %#x, flag %d, counter %d\n", number, mask, flag, atomic_read(&counter));
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(state);

static int __init debugfs_sample_init(void)
{
	struct dentry *inner;

	folder = debugfs_create_dir("sample", NULL);
	debugfs_create_u8("small", 0644, folder, &small);
	debugfs_create_u32("number", 0644, folder, &number);
	debugfs_create_u64("large", 0444, folder, &large);
	debugfs_create_x32("mask", 0644, folder, &mask);
	debugfs_create_bool("flag", 0644, folder, &flag);
	debugfs_create_atomic_t("counter", 0644, folder, &counter);
	debugfs_create_blob("blob", 0444, folder, &blob);
	debugfs_create_u32_array("array", 0444, folder, &array);
	inner = debugfs_create_dir("inner", folder);
	debugfs_create_file_unsafe("twice", 0644, inner, &number, &twice_fops);
	debugfs_create_file("state", 0444, inner, NULL, &state_fops);
	pr_info("debugfs: ten files are there\n");
	return 0;
}

static void __exit debugfs_sample_exit(void)
{
	debugfs_remove(folder);
	pr_info("debugfs: gone, number was %u\n", number);
}

module_init(debugfs_sample_init);
module_exit(debugfs_sample_exit);

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Files in debugfs");
