// SPDX-License-Identifier: GPL-2.0-only
/*
 * Every common way to go wrong, one at a time: insmod buggy.ko fault=null_read
 *
 * Each fault is a function of its own, so that the call trace tells the way to it: buggy_init, run_fault, null_read.
 * What the kernel makes of it stands in the last column of the table below:
 *
 *   oops    the task that called us is killed; its module stays COMING for ever, "in use", rmmod says so
 *   BUG     the same, by an instruction (ud2) that the compiler put there for BUG()
 *   WARN    a report, a taint (W), and life goes on
 *   panic   the machine stops
 *   quiet   nothing visible happens, which does not mean that all is well
 *   hangs   the caller never comes back
 *
 * The parameter trigger runs a fault of a module that is loaded:
 * echo null_read > /sys/module/buggy/parameters/trigger
 *
 * Most functions end with a line that says how far they came. It is also there to keep their frame: a call at the
 * very end of a function becomes a jump, and then no trace shows who jumped.
 */
#include <linux/bug.h>
#include <linux/err.h>
#include <linux/init.h>
#include <linux/list.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/objtool.h>
#include <linux/refcount.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/string.h>
#include <linux/timer.h>
#include <linux/uaccess.h>

struct thing {
	long padding[2];
	int value;
	void (*hook)(void);
	struct list_head link;
};

/* volatile: the compiler must not know that these are what they are */
static struct thing *volatile nothing;
static volatile int zero;
static const int constant = 42;
static unsigned char code_in_data[16] = { 0xc3 };	/* ret */

static noinline void null_read(void)
{
	pr_info("buggy: value %d\n", nothing->value);
}

static noinline void null_write(void)
{
	nothing->value = 1;
}

/* The more common way to jump to 0: an operation that nobody set. */
static noinline void null_call(void)
{
	static struct thing unfinished;

	WRITE_ONCE(unfinished.value, 1);
	READ_ONCE(unfinished.hook)();
	pr_info("buggy: back from NULL\n");
}

static noinline void wild_call(void)
{
	void (*volatile hook)(void) = (void (*)(void))0x123456789000;

	hook();
	pr_info("buggy: back from nowhere\n");
}

static noinline void rodata_write(void)
{
	*(volatile int *)&constant = 43;
}

static noinline void text_write(void)
{
	*(volatile unsigned char *)null_read = 0xc3;
}

/* In memory that is not executable (NX). */
static noinline void data_exec(void)
{
	void (*volatile hook)(void) = (void (*)(void))code_in_data;

	hook();
	pr_info("buggy: back from data\n");
}

/* What a list_head holds after list_del(): an address that no page table can map. */
static noinline void non_canonical(void)
{
	struct thing *volatile gone = LIST_POISON1;

	pr_info("buggy: value %d\n", gone->value);
}

/* A user's address, read without copy_from_user(): faults here, and would read foreign memory elsewhere. */
static noinline void user_read(void)
{
	struct thing *volatile users = (struct thing *)0x700000000000;

	pr_info("buggy: value %d\n", users->value);
}

/* A function that answers with an error, and nobody asked IS_ERR(). */
static noinline void error_pointer(void)
{
	struct thing *volatile found = ERR_PTR(-ENOMEM);

	pr_info("buggy: value %d\n", found->value);
}

static noinline void divide(void)
{
	pr_info("buggy: %d\n", 100 / zero);
}

static noinline void invalid_opcode(void)
{
	asm volatile("ud2\n" ASM_REACHABLE);	/* for objtool, which takes ud2 for the end */
}

static noinline void breakpoint(void)
{
	asm volatile("int3");
}

static noinline void bug(void)
{
	BUG();
}

static noinline void bug_on(void)
{
	BUG_ON(zero == 0);
}

static noinline void warn(void)
{
	if (WARN(zero == 0, "zero is %d\n", zero))
		pr_info("buggy: warned, and going on\n");
}

static noinline void warn_once(void)
{
	int i;

	for (i = 0; i < 3; i++)
		WARN_ON_ONCE(zero == 0);
}

/* Faults in functions of the kernel: RIP is not ours, but the call trace is. */
static noinline void bad_string(void)
{
	const char *volatile text = (const char *)0x10;

	pr_info("buggy: %zu characters\n", strlen(text));
}

static noinline void bad_copy(void)
{
	char *volatile to = (char *)0xffffc90000000000;		/* the guard before vmalloc's first area */
	volatile size_t length = 16;

	memcpy(to, code_in_data, length);
	pr_info("buggy: copied\n");
}

/* The right way to touch a pointer from a user: no fault, but the number of bytes that could not be copied. */
static noinline void bad_user_copy(void)
{
	char buffer[16];
	unsigned long left = copy_from_user(buffer, (const char __user *)0x700000000000, sizeof(buffer));

	pr_info("buggy: %lu of %zu bytes not copied\n", left, sizeof(buffer));
}

/* FORTIFY_SOURCE knows the size of the buffer, and looks at the length when we run. */
static noinline void fortify(void)
{
	static char buffer[8];
	volatile size_t length = 9;

	memcpy(buffer, code_in_data, length);
	pr_info("buggy: %c\n", buffer[zero]);
}

/* The return address lies behind the buffer, and the canary before it: __stack_chk_fail() */
static noinline void stack_smash(void)
{
	char buffer[16];
	volatile char *at = buffer;
	int i;

	for (i = 0; i < 32 + zero; i++)
		at[i] = 'A';
	pr_info("buggy: %.4s\n", buffer);
}

/* 16 KiB of stack, and a guard page below. */
static noinline int recurse(int depth)
{
	volatile char frame[400];

	frame[0] = depth;
	if (zero)
		return 0;
	return recurse(depth + 1) + frame[0];
}

static noinline void recursion(void)
{
	pr_info("buggy: %d\n", recurse(0));
}

static noinline void list_del_twice(void)
{
	static LIST_HEAD(list);
	static struct thing member;

	list_add(&member.link, &list);
	list_del(&member.link);
	list_del(&member.link);
}

static noinline void double_free(void)
{
	void *volatile memory = kmalloc(64, GFP_KERNEL);

	kfree(memory);
	kfree(memory);
	pr_info("buggy: freed twice\n");
}

/* Nobody notices: the memory still holds what it held, until somebody else gets it. */
static noinline void use_after_free(void)
{
	struct thing *volatile memory = kzalloc(sizeof(struct thing), GFP_KERNEL);

	if (!memory)
		return;
	memory->value = 42;
	kfree((void *)memory);
	pr_info("buggy: value %d after kfree\n", memory->value);
}

static noinline void refcount(void)
{
	refcount_t users = REFCOUNT_INIT(1);

	pr_info("buggy: last user gone: %d\n", refcount_dec_and_test(&users));
	refcount_inc(&users);
}

/* schedule() while a spinlock is held. */
static noinline void atomic_sleep(void)
{
	static DEFINE_SPINLOCK(lock);

	spin_lock(&lock);
	schedule_timeout_uninterruptible(1);
	spin_unlock(&lock);
	pr_info("buggy: slept with a spinlock\n");
}

static noinline void deadlock(void)
{
	static DEFINE_MUTEX(lock);

	mutex_lock(&lock);
	mutex_lock(&lock);
	pr_info("buggy: locked twice\n");
}

static noinline void endless(void)
{
	while (!zero)
		cpu_relax();
}

static void read_in_softirq(struct timer_list *timer)
{
	null_read();
	pr_info("buggy: still here\n");
}

/* An oops in an interrupt has no task that could be killed for it. */
static noinline void softirq(void)
{
	static struct timer_list timer;

	timer_setup(&timer, read_in_softirq, 0);
	mod_timer(&timer, jiffies + 1);
	schedule_timeout_uninterruptible(HZ / 2);
	pr_info("buggy: the timer has run\n");
}

static const struct fault {
	const char *name;
	void (*run)(void);
	const char *comes;
} faults[] = {
	{ "null_read", null_read, "oops" },
	{ "null_write", null_write, "oops" },
	{ "null_call", null_call, "oops" },
	{ "wild_call", wild_call, "oops" },
	{ "rodata_write", rodata_write, "oops" },
	{ "text_write", text_write, "oops" },
	{ "data_exec", data_exec, "oops" },
	{ "non_canonical", non_canonical, "oops" },
	{ "user_read", user_read, "oops" },
	{ "error_pointer", error_pointer, "oops" },
	{ "divide", divide, "oops" },
	{ "invalid_opcode", invalid_opcode, "oops" },
	{ "breakpoint", breakpoint, "oops" },
	{ "bug", bug, "BUG" },
	{ "bug_on", bug_on, "BUG" },
	{ "warn", warn, "WARN" },
	{ "warn_once", warn_once, "WARN" },
	{ "bad_string", bad_string, "oops" },
	{ "bad_copy", bad_copy, "oops" },
	{ "bad_user_copy", bad_user_copy, "quiet" },
	{ "fortify", fortify, "BUG" },
	{ "stack_smash", stack_smash, "panic" },
	{ "recursion", recursion, "oops" },
	{ "list_del_twice", list_del_twice, "BUG" },
	{ "double_free", double_free, "BUG" },
	{ "use_after_free", use_after_free, "quiet" },
	{ "refcount", refcount, "WARN" },
	{ "atomic_sleep", atomic_sleep, "WARN" },
	{ "deadlock", deadlock, "hangs" },
	{ "endless", endless, "hangs" },
	{ "softirq", softirq, "panic" },
};

static noinline int run_fault(const char *name)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(faults); i++) {
		if (!sysfs_streq(name, faults[i].name))
			continue;
		pr_info("buggy: %s\n", faults[i].name);
		faults[i].run();
		pr_info("buggy: still here after %s\n", faults[i].name);
		return 0;
	}
	pr_info("buggy: no fault %s\n", name);
	return -EINVAL;
}

static int trigger_set(const char *value, const struct kernel_param *kp)
{
	return run_fault(value);
}

static int trigger_get(char *buffer, const struct kernel_param *kp)
{
	int i, length = 0;

	for (i = 0; i < ARRAY_SIZE(faults); i++)
		length += scnprintf(buffer + length, PAGE_SIZE - length, "%s %s\n", faults[i].name, faults[i].comes);
	return length;
}

static const struct kernel_param_ops trigger_ops = {
	.set = trigger_set,
	.get = trigger_get,
};
module_param_cb(trigger, &trigger_ops, NULL, 0644);
MODULE_PARM_DESC(trigger, "written: run this fault now; read: the table of faults");

static char *fault;
module_param(fault, charp, 0444);
MODULE_PARM_DESC(fault, "what goes wrong in init: null_read null_write null_call wild_call rodata_write text_write "
		 "data_exec non_canonical user_read error_pointer divide invalid_opcode breakpoint bug bug_on warn "
		 "warn_once bad_string bad_copy bad_user_copy fortify stack_smash recursion list_del_twice double_free "
		 "use_after_free refcount atomic_sleep deadlock endless softirq");

static int __init buggy_init(void)
{
	if (!fault) {
		pr_info("buggy: all is well, for no fault was given\n");
		return 0;
	}
	return run_fault(fault);
}

static void __exit buggy_exit(void)
{
	pr_info("buggy: gone\n");
}

module_init(buggy_init);
module_exit(buggy_exit);

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Every common fault, one at a time");
