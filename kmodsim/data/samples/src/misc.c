// SPDX-License-Identifier: GPL-2.0-only
/*
 * A device of the "miscellaneous" class with the calls that a driver is asked for: /dev/greeter.
 *
 * Each system call on the open file arrives at one function of struct file_operations, and each prints a line here.
 * What the function returns is what the caller gets: a number of bytes, or -errno.
 *
 * ioctl numbers are made of a direction, a size, a letter and a number: _IOR('g', 1, int) is 0x80046701.
 */
#include <linux/fs.h>
#include <linux/init.h>
#include <linux/ioctl.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#define GREETER_RESET	_IO('g', 0)
#define GREETER_CALLS	_IOR('g', 1, int)	/* how many ioctls so far, this one too */
#define GREETER_REPEAT	_IOW('g', 2, int)	/* how often to greet: 1 to 4 */

#define ROOM 128

/* One for each open file: what two processes do does not mix. */
struct visit {
	int repeat;
	int calls;
};

static DEFINE_MUTEX(lock);
static char whom[32] = "world";
static int visitors;

static int greeter_open(struct inode *inode, struct file *file)
{
	struct visit *visit = kzalloc(sizeof(*visit), GFP_KERNEL);

	if (!visit)
		return -ENOMEM;
	visit->repeat = 1;
	file->private_data = visit;
	mutex_lock(&lock);
	visitors++;
	mutex_unlock(&lock);
	pr_info("misc: open, %s%s, %d at a time\n", file->f_mode & FMODE_READ ? "r" : "-",
		file->f_mode & FMODE_WRITE ? "w" : "-", visitors);
	return 0;
}

static ssize_t greeter_read(struct file *file, char __user *buffer, size_t count, loff_t *position)
{
	struct visit *visit = file->private_data;
	char text[4 * (sizeof(whom) + 8) + 1];
	loff_t before = *position;
	int i, length = 0;
	ssize_t got;

	mutex_lock(&lock);
	for (i = 0; i < visit->repeat; i++)
		length += scnprintf(text + length, sizeof(text) - length, "Hello, %s\n", whom);
	mutex_unlock(&lock);
	got = simple_read_from_buffer(buffer, count, position, text, length);
	pr_info("misc: read of %zu bytes at %lld: %zd\n", count, before, got);
	return got;
}

static ssize_t greeter_write(struct file *file, const char __user *buffer, size_t count, loff_t *position)
{
	char text[sizeof(whom)];

	if (count >= sizeof(text)) {
		pr_info("misc: %zu bytes are too many\n", count);
		return -EINVAL;
	}
	if (copy_from_user(text, buffer, count)) {	/* before the lock: this may sleep and may fail */
		pr_info("misc: that pointer leads nowhere\n");
		return -EFAULT;
	}
	text[count] = '\0';
	mutex_lock(&lock);
	strscpy(whom, strim(text), sizeof(whom));
	mutex_unlock(&lock);
	pr_info("misc: write of %zu bytes: \"%s\"\n", count, whom);
	return count;
}

static long greeter_ioctl(struct file *file, unsigned int request, unsigned long argument)
{
	struct visit *visit = file->private_data;
	int number;

	visit->calls++;
	pr_info("misc: ioctl %#x: '%c' %u, %u bytes\n", request, _IOC_TYPE(request), _IOC_NR(request),
		_IOC_SIZE(request));
	switch (request) {
	case GREETER_RESET:
		visit->repeat = 1;
		visit->calls = 0;
		return 0;
	case GREETER_CALLS:
		return put_user(visit->calls, (int __user *)argument);
	case GREETER_REPEAT:
		if (get_user(number, (int __user *)argument))
			return -EFAULT;
		if (number < 1 || number > 4)
			return -ERANGE;
		visit->repeat = number;
		return number;				/* an ioctl may answer with a number, too */
	default:
		return -ENOTTY;				/* "not a typewriter": no such request here */
	}
}

static loff_t greeter_llseek(struct file *file, loff_t offset, int whence)
{
	loff_t at = fixed_size_llseek(file, offset, whence, ROOM);

	pr_info("misc: seek to %lld from %d: %lld\n", offset, whence, at);
	return at;
}

/* When the last descriptor of this open file is closed. */
static int greeter_release(struct inode *inode, struct file *file)
{
	struct visit *visit = file->private_data;

	mutex_lock(&lock);
	visitors--;
	mutex_unlock(&lock);
	pr_info("misc: release after %d ioctls\n", visit->calls);
	kfree(visit);
	return 0;
}

static const struct file_operations greeter_fops = {
	.owner = THIS_MODULE,
	.open = greeter_open,
	.read = greeter_read,
	.write = greeter_write,
	.unlocked_ioctl = greeter_ioctl,
	.llseek = greeter_llseek,
	.release = greeter_release,
};

static struct miscdevice greeter = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "greeter",
	.fops = &greeter_fops,
	.mode = 0666,
};

static int __init greeter_init(void)
{
	int error = misc_register(&greeter);

	if (error)
		return error;
	pr_info("misc: /dev/%s is ready\n", greeter.name);
	return 0;
}

static void __exit greeter_exit(void)
{
	misc_deregister(&greeter);
	pr_info("misc: /dev/%s is gone\n", greeter.name);
}

module_init(greeter_init);
module_exit(greeter_exit);

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("A misc device: open, read, write, ioctl, llseek, release");
