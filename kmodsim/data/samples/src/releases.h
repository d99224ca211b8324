/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The samples are written for Linux 6.1. What other releases call differently is put right here, ahead of each
 * source file (see Kbuild).
 */
#ifndef RELEASES_H
#define RELEASES_H

#include <linux/version.h>

#if LINUX_VERSION_CODE < KERNEL_VERSION(5, 17, 0)
#include <asm/asm.h>
#define in_hardirq() in_irq()
#define pde_data(inode) PDE_DATA(inode)
#define ASM_REACHABLE ""
/* The handler that sets a register came with 5.17; before, a piece of code elsewhere did. */
#define _ASM_EXTABLE_TYPE_REG(from, to, type, reg) \
	".pushsection .fixup, \"ax\"\n3: movl $-14, " #reg "\n\tjmp 2b\n.popsection\n" _ASM_EXTABLE(from, 3b)
#endif

#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 4, 0)
#include <linux/device.h>
#define class_create(owner, name) class_create(name)
#endif

#if LINUX_VERSION_CODE >= KERNEL_VERSION(6, 12, 0)
#define no_llseek NULL
#endif

#endif
