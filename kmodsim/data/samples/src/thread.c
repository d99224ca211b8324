// SPDX-License-Identifier: GPL-2.0-only
/*
 * A kernel thread.
 *
 * kthread_run() starts it, kthread_stop() asks it to end, waits, and gets what its function returned. Until then the
 * thread looks at kthread_should_stop() whenever it wakes up; a thread that never looks makes rmmod wait for ever.
 *
 * echo 1 > /sys/module/thread/parameters/kick wakes it between two rounds.
 */
#include <linux/completion.h>
#include <linux/delay.h>
#include <linux/init.h>
#include <linux/jiffies.h>
#include <linux/kthread.h>
#include <linux/module.h>
#include <linux/sched.h>
#include <linux/wait.h>

static unsigned int rounds = 3;
module_param(rounds, uint, 0444);
MODULE_PARM_DESC(rounds, "how many rounds to say something in");

static unsigned int period = 100;
module_param(period, uint, 0444);
MODULE_PARM_DESC(period, "milliseconds from round to round");

static struct task_struct *task;
static DECLARE_COMPLETION(started);
static DECLARE_WAIT_QUEUE_HEAD(kicks);
static bool kicked;

static int kick_set(const char *value, const struct kernel_param *kp)
{
	WRITE_ONCE(kicked, true);
	wake_up_interruptible(&kicks);
	return 0;
}

static const struct kernel_param_ops kick_ops = {
	.set = kick_set,
};
module_param_cb(kick, &kick_ops, NULL, 0200);
MODULE_PARM_DESC(kick, "write anything: wakes the thread");

static int worker(void *data)
{
	int round = 0;

	pr_info("thread: %s begins, a kernel thread: %d\n", current->comm, !!(current->flags & PF_KTHREAD));
	complete(&started);
	while (round < rounds && !kthread_should_stop()) {
		msleep_interruptible(period);		/* sleeps on when kthread_stop() wakes it */
		pr_info("thread: round %d of %s\n", ++round, (const char *)data);
	}
	while (!kthread_should_stop()) {
		/* until something is true, until the time is over, or until a signal comes */
		long left = wait_event_interruptible_timeout(kicks, READ_ONCE(kicked) || kthread_should_stop(),
							     30 * HZ);

		if (left > 0 && READ_ONCE(kicked))
			pr_info("thread: kicked\n");
		WRITE_ONCE(kicked, false);
	}
	pr_info("thread: shall stop\n");
	return round;
}

static int __init thread_sample_init(void)
{
	task = kthread_run(worker, "the thread", "sample/%d", 7);
	if (IS_ERR(task))
		return PTR_ERR(task);
	wait_for_completion(&started);
	pr_info("thread: %s runs\n", task->comm);
	return 0;
}

static void __exit thread_sample_exit(void)
{
	int result = kthread_stop(task);

	pr_info("thread: stopped, it returned %d\n", result);
}

module_init(thread_sample_init);
module_exit(thread_sample_exit);

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("A kernel thread that waits, is woken and stopped");
