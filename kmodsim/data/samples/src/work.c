// SPDX-License-Identifier: GPL-2.0-only
/*
 * Work for later, in a context that may sleep.
 *
 * A work item is a function that a kernel thread (kworker) calls. schedule_work() puts it into the system's queue,
 * schedule_delayed_work() after a time; a queue of one's own can be flushed as a whole, and an ordered one runs its
 * items one after the other. Queued twice before it runs, an item runs once.
 */
#include <linux/delay.h>
#include <linux/init.h>
#include <linux/jiffies.h>
#include <linux/module.h>
#include <linux/sched.h>
#include <linux/workqueue.h>

struct job {
	struct work_struct work;
	int number;
};

static unsigned int delay = 200;
module_param(delay, uint, 0444);
MODULE_PARM_DESC(delay, "milliseconds until the delayed work runs");

static struct workqueue_struct *queue;
static struct job jobs[3];

static const char *context(void)
{
	return current->flags & PF_WQ_WORKER ? "a kworker" : "somebody else";
}

static void once(struct work_struct *work)
{
	pr_info("work: once, in %s\n", context());
}
static DECLARE_WORK(once_work, once);

static void later(struct work_struct *work)
{
	pr_info("work: %u ms later, in %s\n", delay, context());
}
static DECLARE_DELAYED_WORK(later_work, later);
static DECLARE_DELAYED_WORK(never_work, later);

static void do_job(struct work_struct *work)
{
	struct job *job = container_of(work, struct job, work);

	msleep(10);				/* a timer's function may not do this */
	pr_info("work: job %d, in %s\n", job->number, context());
}

static int __init jobs_init(void)
{
	bool first, second;
	int i;

	first = schedule_work(&once_work);
	second = schedule_work(&once_work);
	pr_info("work: queued %d, then %d\n", first, second);
	flush_work(&once_work);

	queue = alloc_ordered_workqueue("work_sample", 0);
	if (!queue)
		return -ENOMEM;
	for (i = 0; i < ARRAY_SIZE(jobs); i++) {
		INIT_WORK(&jobs[i].work, do_job);
		jobs[i].number = i + 1;
		queue_work(queue, &jobs[i].work);
	}
	pr_info("work: %zu jobs queued\n", ARRAY_SIZE(jobs));
	flush_workqueue(queue);
	pr_info("work: the queue is empty\n");

	schedule_delayed_work(&later_work, msecs_to_jiffies(delay));
	schedule_delayed_work(&never_work, HZ * 3600);
	return 0;
}

static void __exit jobs_exit(void)
{
	bool later = cancel_delayed_work_sync(&later_work);
	bool never = cancel_delayed_work_sync(&never_work);

	pr_info("work: still waiting: %d %d\n", later, never);
	destroy_workqueue(queue);
}

module_init(jobs_init);
module_exit(jobs_exit);

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Work items, delayed work, a workqueue");
