// SPDX-License-Identifier: GPL-2.0-only
/*
 * A variable in each kind of memory.
 *
 * The section decides where a variable ends up and how it is protected:
 *
 *   per CPU          .data..percpu         not in the module's image: a copy for each CPU, in an area of their own
 *   __ro_after_init  .data..ro_after_init  writable while init runs, read-only from then on
 *   const            .rodata               read-only at once
 *   = value          .data                 readable and writable
 *   (nothing)        .bss                  takes no bytes in the file (SHT_NOBITS), zero in memory
 *   __initdata       .init.data            thrown away after init
 */
#include <linux/cache.h>
#include <linux/cpumask.h>
#include <linux/init.h>
#include <linux/module.h>
#include <linux/percpu.h>

static DEFINE_PER_CPU(int, visits) = 5;
static DEFINE_PER_CPU(long [4], scratch);
static int limit __ro_after_init = 1;
static const int table[4] = { 2, 3, 5, 7 };
static int counter = 11;
module_param(counter, int, 0444);
static int zeros[8];
static int bonus __initdata = 100;

static int __init percpu_init(void)
{
	int cpu, sum = 0;

	this_cpu_inc(visits);
	this_cpu_write(scratch[2], 9);
	limit = table[counter & 3] + bonus;	/* the last chance to write to it */
	for_each_possible_cpu(cpu)
		sum += per_cpu(visits, cpu) - 5;
	zeros[0] = sum;
	pr_info("percpu: %d visit, limit %d\n", sum, limit);
	return 0;
}

static void __exit percpu_exit(void)
{
	this_cpu_dec(visits);
	pr_info("percpu: %d visit before this one\n", zeros[0]);
}

module_init(percpu_init);
module_exit(percpu_exit);

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Per-CPU, ro_after_init, init and other data");
