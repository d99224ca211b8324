// SPDX-License-Identifier: GPL-2.0-only
/*
 * A character device, /dev/chardev, that keeps one line of text.
 *
 * .owner = THIS_MODULE is what protects us: open() takes a reference on the owner, close() gives it back, and while
 * somebody holds the file open rmmod answers "Module chardev is in use". Without it the code could vanish under a
 * running read().
 */
#include <linux/fs.h>
#include <linux/init.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/uaccess.h>

static char text[64] = "nothing written yet\n";
static size_t length = 20;

static ssize_t chardev_read(struct file *file, char __user *buffer, size_t count, loff_t *position)
{
	return simple_read_from_buffer(buffer, count, position, text, length);
}

static ssize_t chardev_write(struct file *file, const char __user *buffer, size_t count, loff_t *position)
{
	if (count > sizeof(text))
		return -ENOSPC;
	if (copy_from_user(text, buffer, count))	/* the pointer comes from a user: it may point anywhere */
		return -EFAULT;
	length = count;
	return count;
}

static const struct file_operations chardev_fops = {
	.owner = THIS_MODULE,
	.read = chardev_read,
	.write = chardev_write,
	.llseek = default_llseek,
};

/* MISC_DYNAMIC_MINOR: the kernel picks a number and udev makes the file. */
static struct miscdevice chardev = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "chardev",
	.fops = &chardev_fops,
};

static int __init chardev_init(void)
{
	int error = misc_register(&chardev);

	if (error)
		return error;
	pr_info("chardev: /dev/chardev is ready\n");
	return 0;
}

static void __exit chardev_exit(void)
{
	misc_deregister(&chardev);
	pr_info("chardev: /dev/chardev is gone\n");
}

module_init(chardev_init);
module_exit(chardev_exit);

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("A character device that holds a reference while it is open");
