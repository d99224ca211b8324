// SPDX-License-Identifier: GPL-2.0-only
/*
 * One of each table that the loader finds by section name and that makes code change or recover.
 *
 *   __ex_table          "if this instruction faults, go on there"         sorted by address
 *   __jump_table        branches that are patched in and out               static_branch_*()
 *   .static_call_sites  direct calls whose target is patched               static_call()
 *   __bug_table         where a ud2 means WARN, with file and line         WARN_ON()
 *   .altinstructions    instructions replaced by what this CPU can do      alternative()
 *   .smp_locks          lock prefixes, dropped on a machine with one CPU   atomic_*()
 *   .parainstructions   calls that depend on the hypervisor                local_irq_save()
 *   .retpoline_sites    calls through a pointer, made safe or made short   tables_hook()
 *
 * And without our doing: __mcount_loc (ftrace), .return_sites (CPU bugs), .orc_unwind (to read a stack).
 */
#include <linux/atomic.h>
#include <linux/bug.h>
#include <linux/init.h>
#include <linux/irqflags.h>
#include <linux/jump_label.h>
#include <linux/module.h>
#include <linux/static_call.h>
#include <linux/uaccess.h>
#include <asm/alternative.h>
#include <asm/asm.h>
#include <asm/cpufeatures.h>

void tables_say(const char *what);
int tables_probe(const int *address, int *value);
int tables_has_rdtscp(void);
extern void (*tables_hook)(const char *what);

static bool loud;
module_param(loud, bool, 0444);
MODULE_PARM_DESC(loud, "turn the jump label and the static call");

static DEFINE_STATIC_KEY_FALSE(is_loud);
static DEFINE_STATIC_KEY_TRUE(is_polite);
static atomic_t said = ATOMIC_INIT(0);

static void whisper(const char *what)
{
	pr_info("tables: %s\n", what);
}

static void shout(const char *what)
{
	pr_info("tables: %s!\n", what);
}

DEFINE_STATIC_CALL(say, whisper);

/* A call through a pointer: the compiler makes it a call of __x86_indirect_thunk_REG (a retpoline). */
void (*tables_hook)(const char *what);
EXPORT_SYMBOL(tables_hook);

void tables_say(const char *what)
{
	unsigned long flags;

	local_irq_save(flags);
	atomic_inc(&said);
	local_irq_restore(flags);
	static_call(say)(what);
	if (static_branch_unlikely(&is_loud))
		pr_info("tables: the jump label is on\n");
	if (static_branch_likely(&is_polite))
		pr_info("tables: thank you\n");
	if (tables_hook)
		tables_hook(what);
}
EXPORT_SYMBOL(tables_say);

/* Reads from any address: 0 if it could, -EFAULT if the CPU faulted and the table told it where to go on. */
int tables_probe(const int *address, int *value)
{
	int error = 0;

	asm volatile("1: movl (%2), %1\n"
		     "2:\n"
		     _ASM_EXTABLE_TYPE_REG(1b, 2b, EX_TYPE_EFAULT_REG, %0)
		     : "+r" (error), "=&r" (*value)
		     : "r" (address));
	return error;
}
EXPORT_SYMBOL(tables_probe);

/* 1 where the CPU has RDTSCP: the two instructions have the same length, the loader picks one. */
int tables_has_rdtscp(void)
{
	int answer;

	asm volatile(ALTERNATIVE("movl $0, %0", "movl $1, %0", X86_FEATURE_RDTSCP) : "=r" (answer));
	return answer;
}
EXPORT_SYMBOL(tables_has_rdtscp);

static int __init tables_init(void)
{
	int value = 3, copy;

	if (loud) {
		static_branch_enable(&is_loud);
		static_call_update(say, shout);
	}
	if (tables_probe(&value, &copy) == 0)
		tables_say("the stack is readable");
	if (tables_probe((const int *)8, &copy) == -EFAULT)	/* nothing is mapped there */
		tables_say("address 8 faults, and we are still here");
	WARN_ON(atomic_read(&said) != 2);
	pr_info("tables: RDTSCP %s\n", tables_has_rdtscp() ? "yes" : "no");
	return 0;
}

static void __exit tables_exit(void)
{
	static_call(say)("gone");
}

module_init(tables_init);
module_exit(tables_exit);

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Exception table, jump labels, static calls and the other patch tables");
