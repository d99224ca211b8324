// SPDX-License-Identifier: GPL-2.0-only
/*
 * A linked list on the heap.
 *
 * The kernel's list is the other way round than in a textbook: the links (struct list_head) lie inside the element,
 * and list_for_each_entry() calculates from the link back to the element (container_of). What kmalloc() gave, we have
 * to give back: nobody frees it for us when the module goes.
 */
#include <linux/init.h>
#include <linux/list.h>
#include <linux/module.h>
#include <linux/slab.h>

struct node {
	int number;
	struct list_head link;
};

static LIST_HEAD(nodes);

static unsigned int count = 3;
module_param(count, uint, 0444);
MODULE_PARM_DESC(count, "how many nodes to make");

static void free_nodes(void)
{
	struct node *node, *next;

	/* _safe: it looks up the next node before we free this one */
	list_for_each_entry_safe(node, next, &nodes, link) {
		list_del(&node->link);
		pr_info("list: node %d freed\n", node->number);
		kfree(node);
	}
}

static int __init nodes_init(void)
{
	struct node *node;
	unsigned int i;
	int sum = 0;

	for (i = 0; i < count; i++) {
		node = kmalloc(sizeof(*node), GFP_KERNEL);
		if (!node) {
			free_nodes();		/* init failed: exit will not be called */
			return -ENOMEM;
		}
		node->number = i * i;
		list_add_tail(&node->link, &nodes);
	}
	list_for_each_entry(node, &nodes, link) {
		pr_info("list: node %d\n", node->number);
		sum += node->number;
	}
	pr_info("list: %u nodes of %zu bytes, sum %d, %s\n", count, sizeof(*node), sum,
		list_empty(&nodes) ? "empty" : "not empty");
	return 0;
}

static void __exit nodes_exit(void)
{
	free_nodes();
	pr_info("list: gone\n");
}

module_init(nodes_init);
module_exit(nodes_exit);

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("A linked list with kmalloc");
