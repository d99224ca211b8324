// SPDX-License-Identifier: GPL-2.0-only
/*
 * Copies every other module's memory out of the machine at the moment it becomes COMING: relocated and patched,
 * before its parameters are parsed and its init runs.
 *
 * The copies go into the memory of QEMU's ivshmem device, a file on the host; the recorder's probe uses the
 * beginning of that memory, this module what lies behind `at`. The layout is read by coming_memory.py.
 */
#include <linux/io.h>
#include <linux/limits.h>
#include <linux/module.h>
#include <linux/notifier.h>
#include <linux/pci.h>
#include <linux/version.h>

#define SEVEN_MEMORIES (LINUX_VERSION_CODE >= KERNEL_VERSION(6, 4, 0))

#define IVSHMEM_VENDOR 0x1af4
#define IVSHMEM_DEVICE 0x1110
#define IVSHMEM_BAR    2

static unsigned long at;
module_param(at, ulong, 0444);
MODULE_PARM_DESC(at, "where in the shared memory the copies begin, in bytes");

static bool disarm;
module_param(disarm, bool, 0644);
MODULE_PARM_DESC(disarm, "take init and exit away from every newcomer: it loads and unloads without its device");

/* At the beginning of our part of the shared memory. */
struct shared_head {
	u64 used;		/* bytes, this head included */
	u32 records, lost;	/* lost: there was no room for the copy */
};

#if SEVEN_MEMORIES
/* Before the bytes of the memories, in their order, each as long as its size says. */
struct shared_record {
	char name[64];
	u64 address;		/* of struct module */
	u64 base[MOD_MEM_NUM_TYPES];
	u64 percpu;		/* offset in the per-CPU area */
	u64 init_function, exit_function;
	u32 size[MOD_MEM_NUM_TYPES];
	u32 percpu_size;
	u32 number, stored;	/* stored 0: no bytes follow */
};
#else
/* Before the bytes of core, then those of init, each as long as its size says. */
struct shared_record {
	char name[64];
	u64 address;		/* of struct module */
	u64 core, init;		/* where they lie */
	u64 percpu;		/* offset in the per-CPU area */
	u64 init_function, exit_function;
	u32 core_size, core_text_size, core_ro_size, core_ro_after_init_size;
	u32 init_size, init_text_size, init_ro_size;
	u32 percpu_size;
	u32 number, stored;	/* stored 0: no bytes follow */
};
#endif

static struct shared_head head = { .used = sizeof(struct shared_head) };
static void __iomem *shared;
static u64 shared_size;

static void copy_out(const void *from, size_t length)
{
	memcpy_toio(shared + head.used, from, length);
	head.used += length;
}

#if SEVEN_MEMORIES
static u64 length_of(const struct module *mod)
{
	u64 length = 0;

	for_each_mod_mem_type(type)
		length += mod->mem[type].size;
	return length;
}

static void copy_memories(const struct module *mod)
{
	for_each_mod_mem_type(type)
		copy_out(mod->mem[type].base, mod->mem[type].size);
}

static void describe(const struct module *mod, struct shared_record *record)
{
	strscpy(record->name, mod->name, sizeof(record->name));
	record->address = (unsigned long)mod;
	for_each_mod_mem_type(type) {
		record->base[type] = (unsigned long)mod->mem[type].base;
		record->size[type] = mod->mem[type].size;
	}
	record->percpu = (unsigned long)mod->percpu;
	record->percpu_size = mod->percpu_size;
	record->init_function = (unsigned long)mod->init;
	record->exit_function = (unsigned long)mod->exit;
}
#else
static u64 length_of(const struct module *mod)
{
	return (u64)mod->core_layout.size + mod->init_layout.size;
}

static void copy_memories(const struct module *mod)
{
	copy_out(mod->core_layout.base, mod->core_layout.size);
	copy_out(mod->init_layout.base, mod->init_layout.size);
}

static void describe(const struct module *mod, struct shared_record *record)
{
	strscpy(record->name, mod->name, sizeof(record->name));
	record->address = (unsigned long)mod;
	record->core = (unsigned long)mod->core_layout.base;
	record->core_size = mod->core_layout.size;
	record->core_text_size = mod->core_layout.text_size;
	record->core_ro_size = mod->core_layout.ro_size;
	record->core_ro_after_init_size = mod->core_layout.ro_after_init_size;
	record->init = (unsigned long)mod->init_layout.base;
	record->init_size = mod->init_layout.size;
	record->init_text_size = mod->init_layout.text_size;
	record->init_ro_size = mod->init_layout.ro_size;
	record->percpu = (unsigned long)mod->percpu;
	record->percpu_size = mod->percpu_size;
	record->init_function = (unsigned long)mod->init;
	record->exit_function = (unsigned long)mod->exit;
}
#endif

static void observe(const struct module *mod)
{
	struct shared_record record = { .number = head.records };
	u64 length = length_of(mod);

	describe(mod, &record);
	if (head.used + sizeof(record) > shared_size) {
		head.lost++;
		goto out;
	}
	record.stored = head.used + sizeof(record) + length <= shared_size;
	copy_out(&record, sizeof(record));
	if (record.stored) {
		copy_memories(mod);
	} else {
		head.lost++;
	}
	head.used = ALIGN(head.used, 8);
	head.records++;
out:
	memcpy_toio(shared, &head, sizeof(head));
}

static int on_change(struct notifier_block *block, unsigned long state, void *data)
{
	struct module *mod = data;

	if (state != MODULE_STATE_COMING)
		return NOTIFY_DONE;
	observe(mod);
	if (disarm) {
		mod->init = NULL;
		mod->exit = NULL;
	}
	return NOTIFY_DONE;
}

/* The last of all: tracepoints, jump labels, static calls and the rest have done their work by then. */
static struct notifier_block last = { .notifier_call = on_change, .priority = INT_MIN };

static int __init observer_init(void)
{
	struct pci_dev *device = pci_get_device(IVSHMEM_VENDOR, IVSHMEM_DEVICE, NULL);
	u64 length;
	int error;

	if (!device)
		return -ENODEV;
	length = pci_resource_len(device, IVSHMEM_BAR);
	if (at < length) {
		shared_size = length - at;
		shared = ioremap(pci_resource_start(device, IVSHMEM_BAR) + at, shared_size);
	}
	pci_dev_put(device);
	if (!shared)
		return -ENOMEM;
	memcpy_toio(shared, &head, sizeof(head));
	error = register_module_notifier(&last);
	if (error)
		iounmap(shared);
	return error;
}

static void __exit observer_exit(void)
{
	unregister_module_notifier(&last);
	iounmap(shared);
}

module_init(observer_init);
module_exit(observer_exit);
MODULE_DESCRIPTION("Copies modules' memory at COMING to QEMU's shared memory device");
MODULE_LICENSE("GPL");
