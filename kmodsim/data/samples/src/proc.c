// SPDX-License-Identifier: GPL-2.0-only
/*
 * Files under /proc/sample.
 *
 *   hello    one function prints it all (single_open)
 *   squares  one function prints one element; seq_file calls it for each, however long the file is
 *   note     can be written to
 *
 * seq_file keeps a buffer and the position; when the buffer is too small it calls show once more with a larger one.
 */
#include <linux/init.h>
#include <linux/module.h>
#include <linux/proc_fs.h>
#include <linux/seq_file.h>
#include <linux/uaccess.h>

static unsigned int count = 5;
module_param(count, uint, 0644);
MODULE_PARM_DESC(count, "how many squares");

static struct proc_dir_entry *folder;
static char note[64] = "nothing noted";

static int hello_show(struct seq_file *file, void *unused)
{
	seq_puts(file, "Hello from ");
	seq_printf(file, "%s, %u squares\n", THIS_MODULE->name, count);
	seq_putc(file, '\n');
	return 0;
}

/* The position is a number; what start and next return is passed to show. NULL is the end. */
static void *squares_start(struct seq_file *file, loff_t *position)
{
	if (*position == 0)
		return SEQ_START_TOKEN;
	return *position <= count ? position : NULL;
}

static void *squares_next(struct seq_file *file, void *element, loff_t *position)
{
	++*position;
	return *position <= count ? position : NULL;
}

static void squares_stop(struct seq_file *file, void *element)
{
}

static int squares_show(struct seq_file *file, void *element)
{
	loff_t number;

	if (element == SEQ_START_TOKEN) {
		seq_printf(file, "%-8s %8s\n", "number", "square");
		return 0;
	}
	number = *(loff_t *)element;
	seq_printf(file, "%-8lld %8lld\n", number, number * number);
	return 0;
}

static const struct seq_operations squares_ops = {
	.start = squares_start,
	.next = squares_next,
	.stop = squares_stop,
	.show = squares_show,
};

static int note_show(struct seq_file *file, void *unused)
{
	seq_printf(file, "%s\n", (const char *)file->private);	/* what single_open() was given */
	return 0;
}

static int note_open(struct inode *inode, struct file *file)
{
	return single_open(file, note_show, pde_data(inode));
}

static ssize_t note_write(struct file *file, const char __user *buffer, size_t count, loff_t *position)
{
	char *text = pde_data(file_inode(file));

	if (count >= sizeof(note))
		return -EFBIG;
	if (copy_from_user(text, buffer, count))
		return -EFAULT;
	text[count] = '\0';
	strim(text);
	pr_info("proc: noted \"%s\"\n", text);
	return count;
}

static const struct proc_ops note_ops = {
	.proc_open = note_open,
	.proc_read = seq_read,
	.proc_write = note_write,
	.proc_lseek = seq_lseek,
	.proc_release = single_release,
};

static int __init proc_sample_init(void)
{
	folder = proc_mkdir("sample", NULL);
	if (!folder)
		return -ENOMEM;
	if (!proc_create_single("hello", 0444, folder, hello_show) ||
	    !proc_create_seq("squares", 0444, folder, &squares_ops) ||
	    !proc_create_data("note", 0644, folder, &note_ops, note)) {
		proc_remove(folder);
		return -ENOMEM;
	}
	pr_info("proc: three files are there\n");
	return 0;
}

static void __exit proc_sample_exit(void)
{
	proc_remove(folder);			/* with all that is below */
	pr_info("proc: gone\n");
}

module_init(proc_sample_init);
module_exit(proc_sample_exit);

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Files under /proc with seq_file");
