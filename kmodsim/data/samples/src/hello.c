// SPDX-License-Identifier: GPL-2.0-only
/*
 * A hello world with one parameter of every standard type.
 *
 * Each module_param() leaves a struct kernel_param in the section __param: name, permissions, the operations of the
 * type (param_ops_int, param_ops_charp, ...) and the address of the variable. parse_args() walks through
 * "howmany=3 whom=you", finds the entry by name, and calls its set operation, before init runs.
 *
 * The last argument is the mode of /sys/module/hello/parameters/NAME:
 *   0     no file at all         0444  everybody may read         0644  root may also write, while we run
 */
#include <linux/init.h>
#include <linux/module.h>
#include <linux/moduleparam.h>

/* The two that init uses. */
static int howmany = 1;
module_param(howmany, int, 0644);
MODULE_PARM_DESC(howmany, "how many times to greet");

static char *whom = "world";
module_param(whom, charp, 0444);
MODULE_PARM_DESC(whom, "whom to greet");

/* Integers: each refuses what does not fit (ERANGE) and what is no number (EINVAL). */
static unsigned char a_byte = 1;
module_param(a_byte, byte, 0644);

static short a_short = -2;
module_param(a_short, short, 0644);

static unsigned short a_ushort = 2;
module_param(a_ushort, ushort, 0644);

static int an_int = -3;
module_param(an_int, int, 0644);

static unsigned int a_uint = 3;
module_param(a_uint, uint, 0644);

static long a_long = -4;
module_param(a_long, long, 0644);

static unsigned long a_ulong = 4;
module_param(a_ulong, ulong, 0644);

static unsigned long long a_ullong = 5;
module_param(a_ullong, ullong, 0644);

/* As uint, but shown in hexadecimal. */
static unsigned int a_hexint = 0xbeef;
module_param(a_hexint, hexint, 0644);

/* charp: a pointer; setting it makes it point to a copy of the text, freed with the module. */
static char *a_charp = "text";
module_param(a_charp, charp, 0644);

/* Three kinds of yes and no: as given, turned round, and an int that takes yes and no as well. */
static bool a_bool;
module_param(a_bool, bool, 0644);

static bool an_invbool;
module_param(an_invbool, invbool, 0644);

static int a_bint;
module_param(a_bint, bint, 0644);

/* A string copied into a buffer of ours: 15 characters and the NUL, ENOSPC beyond. */
static char a_string[16] = "short text";
module_param_string(a_string, a_string, sizeof(a_string), 0644);

/* An array that counts how many values came (and shows only those), and one that always shows all. */
static int numbers[4] = { 1, 2, 3, 4 };
static unsigned int numbers_given;
module_param_array(numbers, int, &numbers_given, 0644);

static int coordinates[3] = { 10, 20, 30 };
module_param_array(coordinates, int, NULL, 0644);

/* The same variable under another name. */
static int inner_name = 7;
module_param_named(outer_name, inner_name, int, 0444);

/* No file in sysfs: to be set at load time only. */
static int hidden = 42;
module_param(hidden, int, 0);

/* Setting this one, to whatever value, taints the kernel (U): "you asked for it". */
static int risky;
module_param_unsafe(risky, int, 0644);
MODULE_PARM_DESC(risky, "changing this is at your own risk");

/* A parameter that describes hardware: refused under lockdown. */
static int port = 0x378;
module_param_hw(port, int, ioport, 0444);

static int __init hello_init(void)
{
	int i;

	for (i = 0; i < howmany; i++)
		pr_info("Hello, %s\n", whom);
	return 0;
}

static void __exit hello_exit(void)
{
	pr_info("Goodbye, %s\n", whom);
}

module_init(hello_init);
module_exit(hello_exit);

MODULE_LICENSE("GPL");
MODULE_AUTHOR("The kmodsim course");
MODULE_DESCRIPTION("Hello world with a parameter of every standard type");
MODULE_VERSION("1.0");
