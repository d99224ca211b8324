// SPDX-License-Identifier: GPL-2.0-only
/*
 * A high-resolution timer: in nanoseconds, not in jiffies.
 *
 * It runs in the timer interrupt itself (hard interrupt context). The function's answer says whether it goes on:
 * HRTIMER_RESTART after hrtimer_forward_now() has moved the time of expiry, HRTIMER_NORESTART to end.
 */
#include <linux/hrtimer.h>
#include <linux/init.h>
#include <linux/ktime.h>
#include <linux/module.h>
#include <linux/preempt.h>

static struct hrtimer timer;
static ktime_t period;
static unsigned int ticked;

static unsigned int ticks = 3;
module_param(ticks, uint, 0444);
MODULE_PARM_DESC(ticks, "how often to tick");

static unsigned long period_us = 100000;
module_param(period_us, ulong, 0444);
MODULE_PARM_DESC(period_us, "microseconds from one tick to the next");

static enum hrtimer_restart tick(struct hrtimer *timer)
{
	ticked++;
	pr_info("hrtimer: tick %u%s\n", ticked, in_hardirq() ? ", in a hard interrupt" : "");
	if (ticked >= ticks)
		return HRTIMER_NORESTART;
	hrtimer_forward_now(timer, period);
	return HRTIMER_RESTART;
}

static int __init ticker_init(void)
{
	period = ns_to_ktime(period_us * NSEC_PER_USEC);
	pr_info("hrtimer: a tick every %lld ns\n", ktime_to_ns(period));
	hrtimer_init(&timer, CLOCK_MONOTONIC, HRTIMER_MODE_REL);
	timer.function = tick;
	hrtimer_start(&timer, period, HRTIMER_MODE_REL);
	return 0;
}

static void __exit ticker_exit(void)
{
	int active = hrtimer_cancel(&timer);		/* waits for a tick that is running */

	pr_info("hrtimer: stopped after %u ticks, %s\n", ticked, active ? "was active" : "was idle");
}

module_init(ticker_init);
module_exit(ticker_exit);

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("A high-resolution timer");
