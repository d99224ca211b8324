// SPDX-License-Identifier: GPL-2.0-only
/*
 * A timer that sets itself again.
 *
 * A timer fires once, at a time in jiffies (250 a second on Debian), and runs in interrupt context (softirq): no
 * sleeping, no user memory. Who wants it to go on calls mod_timer() again. Before our code goes away it must neither
 * be pending nor running: del_timer_sync() sees to both.
 */
#include <linux/init.h>
#include <linux/jiffies.h>
#include <linux/module.h>
#include <linux/preempt.h>
#include <linux/timer.h>

struct ticker {
	struct timer_list timer;
	int ticks;
};

static struct ticker ticker;

static int ticks = 3;
module_param(ticks, int, 0444);
MODULE_PARM_DESC(ticks, "how often to tick; 0: never, -1: until rmmod");

static unsigned int period = 100;
module_param(period, uint, 0444);
MODULE_PARM_DESC(period, "milliseconds from one tick to the next");

static void tick(struct timer_list *timer)
{
	struct ticker *me = from_timer(me, timer, timer);	/* container_of: from the member to the whole */

	me->ticks++;
	pr_info("timer: tick %d%s\n", me->ticks, in_serving_softirq() ? ", in a softirq" : "");
	if (me->ticks != ticks)
		mod_timer(timer, timer->expires + msecs_to_jiffies(period));
}

static int __init ticker_init(void)
{
	timer_setup(&ticker.timer, tick, 0);
	pr_info("timer: %u ms are %lu jiffies of %d a second\n", period, msecs_to_jiffies(period), HZ);
	if (ticks)
		mod_timer(&ticker.timer, jiffies + msecs_to_jiffies(period));
	return 0;
}

static void __exit ticker_exit(void)
{
	int pending = del_timer_sync(&ticker.timer);

	pr_info("timer: stopped after %d ticks, %s\n", ticker.ticks, pending ? "was pending" : "was idle");
}

module_init(ticker_init);
module_exit(ticker_exit);

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("A timer that sets itself again");
