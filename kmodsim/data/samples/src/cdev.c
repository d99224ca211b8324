// SPDX-License-Identifier: GPL-2.0-only
/*
 * Character devices the long way, as misc_register() does it for one: numbers, operations, class, files.
 *
 *   alloc_chrdev_region  device numbers (major and a range of minors)
 *   cdev_add             from now on the numbers lead to our operations
 *   class_create         /sys/class/cdev_sample
 *   device_create        /sys/class/cdev_sample/cdev0, an event for udev, and in devtmpfs the file /dev/cdev0
 *
 * Each step can fail, and then those before it are taken back, the last first.
 */
#include <linux/cdev.h>
#include <linux/device.h>
#include <linux/fs.h>
#include <linux/init.h>
#include <linux/module.h>
#include <linux/uaccess.h>

#define DEVICES 2

struct box {
	struct cdev cdev;
	char text[32];
	size_t length;
};

static struct box boxes[DEVICES];
static struct class *class;
static dev_t first;

static int box_open(struct inode *inode, struct file *file)
{
	struct box *box = container_of(inode->i_cdev, struct box, cdev);

	file->private_data = box;		/* so that the others find it without the inode */
	pr_info("cdev: open of minor %u\n", iminor(inode));
	return nonseekable_open(inode, file);
}

static ssize_t box_read(struct file *file, char __user *buffer, size_t count, loff_t *position)
{
	struct box *box = file->private_data;
	size_t length = min(count, box->length);

	if (copy_to_user(buffer, box->text, length))
		return -EFAULT;
	box->length -= length;			/* what was read is gone, as in a pipe */
	memmove(box->text, box->text + length, box->length);
	return length;
}

static ssize_t box_write(struct file *file, const char __user *buffer, size_t count, loff_t *position)
{
	struct box *box = file->private_data;
	size_t room = sizeof(box->text) - box->length;

	if (!room)
		return -ENOSPC;
	count = min(count, room);		/* fewer than wanted: the caller has to come again */
	if (copy_from_user(box->text + box->length, buffer, count))
		return -EFAULT;
	box->length += count;
	return count;
}

static const struct file_operations box_fops = {
	.owner = THIS_MODULE,
	.open = box_open,
	.read = box_read,
	.write = box_write,
	.llseek = no_llseek,
};

static int __init box_create(int i)
{
	struct device *device;
	dev_t number = first + i;
	int error;

	cdev_init(&boxes[i].cdev, &box_fops);
	boxes[i].cdev.owner = THIS_MODULE;
	error = cdev_add(&boxes[i].cdev, number, 1);
	if (error)
		return error;
	device = device_create(class, NULL, number, NULL, "cdev%d", i);
	if (IS_ERR(device)) {
		cdev_del(&boxes[i].cdev);
		return PTR_ERR(device);
	}
	pr_info("cdev: %s is there, minor %u\n", dev_name(device), MINOR(number));
	return 0;
}

static void boxes_remove(int count)
{
	while (count--) {
		device_destroy(class, first + count);
		cdev_del(&boxes[count].cdev);
	}
	class_destroy(class);
	unregister_chrdev_region(first, DEVICES);
}

static int __init boxes_init(void)
{
	int i, error = alloc_chrdev_region(&first, 0, DEVICES, "cdev_sample");

	if (error)
		return error;
	class = class_create(THIS_MODULE, "cdev_sample");
	if (IS_ERR(class)) {
		unregister_chrdev_region(first, DEVICES);
		return PTR_ERR(class);
	}
	for (i = 0; i < DEVICES; i++) {
		error = box_create(i);
		if (error) {
			boxes_remove(i);
			return error;
		}
	}
	return 0;
}

static void __exit boxes_exit(void)
{
	boxes_remove(DEVICES);
	pr_info("cdev: gone\n");
}

module_init(boxes_init);
module_exit(boxes_exit);

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Character devices with class and device files");
