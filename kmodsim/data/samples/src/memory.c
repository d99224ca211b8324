// SPDX-License-Identifier: GPL-2.0-only
/*
 * Ways to get memory, and what gives it back.
 *
 *   kmalloc, kzalloc, kcalloc, krealloc, kstrdup, kmemdup   small, contiguous in physical memory too    kfree
 *   vmalloc, vzalloc                                        large, contiguous for us only               vfree
 *   kvmalloc                                                the first if possible, else the second      kvfree
 *   kmem_cache_alloc                                        many objects of one kind                    kmem_cache_free
 *   __get_free_pages                                        whole pages, a power of two of them         free_pages
 *
 * kmalloc rounds up to the next size that it keeps (ksize). leak=1 forgets some of it: nobody ever gives that back.
 */
#include <linux/gfp.h>
#include <linux/init.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/slab.h>
#include <linux/string.h>
#include <linux/vmalloc.h>

static bool leak;
module_param(leak, bool, 0444);
MODULE_PARM_DESC(leak, "forget to free some of it");

struct person {
	char name[20];
	int age;
};

static struct kmem_cache *people;
static char *name;

static void born(void *object)
{
	struct person *person = object;

	strscpy(person->name, "nobody", sizeof(person->name));
	person->age = -1;
}

static void small_ones(void)
{
	char *memory = kmalloc(100, GFP_KERNEL), *copy;
	int *numbers = kcalloc(10, sizeof(int), GFP_KERNEL);

	pr_info("memory: kmalloc(100) has room for %zu\n", ksize(memory));
	pr_info("memory: kmalloc(0) is no error: %d\n", ZERO_OR_NULL_PTR(kmalloc(0, GFP_KERNEL)));
	strcpy(memory, "kept when it grows");
	memory = krealloc(memory, 300, GFP_KERNEL);
	pr_info("memory: krealloc(300): \"%s\", room for %zu\n", memory, ksize(memory));
	pr_info("memory: kcalloc: %d and %d\n", numbers[0], numbers[9]);
	copy = kmemdup(memory, 5, GFP_KERNEL);
	pr_info("memory: kmemdup: %.5s\n", copy);
	kfree(copy);
	kfree(numbers);
	kfree(NULL);				/* does nothing, and need not be asked for */
	copy = kasprintf(GFP_KERNEL, "%s, %d", "printed to measure", 7);
	pr_info("memory: kasprintf: \"%s\", %zu bytes\n", copy, strlen(copy) + 1);
	if (!leak)
		kfree(memory);
	kfree(copy);
}

static void large_ones(void)
{
	size_t huge = 16 << 20;
	char *virtual = vmalloc(3 * PAGE_SIZE + 1), *either = kvmalloc(100, GFP_KERNEL);
	char *other = kvzalloc(huge, GFP_KERNEL);
	void *failed = kmalloc(1UL << 40, GFP_KERNEL | __GFP_NOWARN);

	pr_info("memory: vmalloc: %d\n", is_vmalloc_addr(virtual));
	pr_info("memory: kvmalloc(100): vmalloc: %d; (16 MiB): %d, last byte %d\n", is_vmalloc_addr(either),
		is_vmalloc_addr(other), other[huge - 1]);
	pr_info("memory: kmalloc of a terabyte: %s\n", failed ? "really" : "NULL");
	kvfree(other);
	kvfree(either);
	if (!leak)
		vfree(virtual);
}

static void pages(void)
{
	unsigned long one = __get_free_page(GFP_KERNEL | __GFP_ZERO), four = __get_free_pages(GFP_KERNEL, 2);

	pr_info("memory: a page of zeros: %d, aligned: %d %d\n", !memchr_inv((void *)one, 0, PAGE_SIZE),
		!(one % PAGE_SIZE), !(four % PAGE_SIZE));
	free_page(one);
	free_pages(four, 2);
}

static int objects(void)
{
	struct person *first, *second;

	people = kmem_cache_create("memory_people", sizeof(struct person), 0, SLAB_HWCACHE_ALIGN, born);
	if (!people)
		return -ENOMEM;
	first = kmem_cache_alloc(people, GFP_KERNEL);
	second = kmem_cache_alloc(people, GFP_KERNEL);
	pr_info("memory: objects of %u bytes, %s, %d\n", kmem_cache_size(people), first->name, second->age);
	kmem_cache_free(people, second);
	kmem_cache_free(people, first);
	return 0;
}

static int __init memory_init(void)
{
	name = kstrdup(THIS_MODULE->name, GFP_KERNEL);
	if (!name)
		return -ENOMEM;
	small_ones();
	large_ones();
	pages();
	pr_info("memory: %s until exit\n", name);
	return objects();
}

static void __exit memory_exit(void)
{
	kmem_cache_destroy(people);
	if (!leak)
		kfree(name);
	pr_info("memory: gone, %s\n", leak ? "but not all of it was freed" : "all freed");
}

module_init(memory_init);
module_exit(memory_exit);

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Ways to get memory; leak=1 forgets some");
