// SPDX-License-Identifier: GPL-2.0-only
/*
 * What the kernel has to wait with and to keep things in order.
 *
 *   atomic_t      one number, changed in one go           spinlock_t     short, must not sleep inside
 *   mutex         may sleep, one owner                    rw_semaphore   many readers or one writer
 *   RCU           readers never wait; what was replaced is freed when the last of them has gone
 *   completion    "it is done", once                      wait queue     "until this is true", woken by others
 *
 * A timer wakes the waiters here, in interrupt context: that is why its lock is taken with _irqsave.
 */
#include <linux/atomic.h>
#include <linux/completion.h>
#include <linux/init.h>
#include <linux/jiffies.h>
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/rcupdate.h>
#include <linux/rwsem.h>
#include <linux/slab.h>
#include <linux/spinlock.h>
#include <linux/timer.h>
#include <linux/wait.h>

struct setting {
	int value;
	struct rcu_head rcu;
};

static atomic_t counter = ATOMIC_INIT(0);
static DEFINE_SPINLOCK(spin);
static DEFINE_MUTEX(mutex);
static DECLARE_RWSEM(rwsem);
static struct setting __rcu *setting;
static DECLARE_COMPLETION(done);
static DECLARE_WAIT_QUEUE_HEAD(queue);
static int rings;				/* guarded by spin */

static void locks(void)
{
	int old = atomic_cmpxchg(&counter, 0, 5), now = atomic_add_return(2, &counter);
	bool second;

	pr_info("sync: atomic: was %d, is %d, zero after subtracting: %d\n", old, now,
		atomic_sub_and_test(7, &counter));

	mutex_lock(&mutex);
	second = mutex_trylock(&mutex);
	pr_info("sync: mutex: locked %d, a second time: %d\n", mutex_is_locked(&mutex), second);
	mutex_unlock(&mutex);

	spin_lock(&spin);
	second = spin_trylock(&spin);
	spin_unlock(&spin);
	pr_info("sync: spinlock: a second time: %d\n", second);

	down_read(&rwsem);
	second = down_read_trylock(&rwsem);
	pr_info("sync: rwsem: a second reader: %d, a writer: %d\n", second, down_write_trylock(&rwsem));
	up_read(&rwsem);
	up_read(&rwsem);
	down_write(&rwsem);
	downgrade_write(&rwsem);
	pr_info("sync: rwsem: a reader beside the downgraded writer: %d\n", down_read_trylock(&rwsem));
	up_read(&rwsem);
	up_read(&rwsem);
}

static void free_setting(struct rcu_head *head)
{
	struct setting *old = container_of(head, struct setting, rcu);

	pr_info("sync: rcu: the old %d is freed\n", old->value);
	kfree(old);
}

static int replace(int value)
{
	struct setting *new = kmalloc(sizeof(*new), GFP_KERNEL), *old;

	if (!new)
		return -ENOMEM;
	new->value = value;
	mutex_lock(&mutex);			/* writers have to keep out of each other's way */
	old = rcu_dereference_protected(setting, lockdep_is_held(&mutex));
	rcu_assign_pointer(setting, new);
	mutex_unlock(&mutex);
	if (old)
		call_rcu(&old->rcu, free_setting);
	return 0;
}

static int current_setting(void)
{
	int value;

	rcu_read_lock();
	value = rcu_dereference(setting)->value;
	rcu_read_unlock();
	return value;
}

static void ring(struct timer_list *timer)
{
	unsigned long flags;
	int number;

	spin_lock_irqsave(&spin, flags);
	number = ++rings;
	spin_unlock_irqrestore(&spin, flags);
	pr_info("sync: the timer rings, %d\n", number);
	wake_up(&queue);
	if (number == 3)
		complete(&done);
	else
		mod_timer(timer, jiffies + HZ / 10);
}
static DEFINE_TIMER(timer, ring);

static int rung(void)
{
	unsigned long flags;
	int number;

	spin_lock_irqsave(&spin, flags);
	number = rings;
	spin_unlock_irqrestore(&spin, flags);
	return number;
}

static void waits(void)
{
	mod_timer(&timer, jiffies + HZ / 10);
	pr_info("sync: completion: done already: %d\n", try_wait_for_completion(&done));
	pr_info("sync: completion: time is over: %d\n", !wait_for_completion_timeout(&done, HZ / 20));
	wait_event(queue, rung() >= 2);
	pr_info("sync: wait queue: woken, and the bell has rung twice\n");
	wait_for_completion(&done);
	pr_info("sync: completion: done\n");
}

static int __init sync_sample_init(void)
{
	int error;

	locks();
	error = replace(1) ?: replace(2);
	if (error) {
		rcu_barrier();
		kfree(rcu_dereference_protected(setting, 1));
		return error;
	}
	synchronize_rcu();			/* all who could see the old one have gone */
	pr_info("sync: rcu: the setting is %d\n", current_setting());
	waits();
	return 0;
}

static void __exit sync_sample_exit(void)
{
	del_timer_sync(&timer);
	rcu_barrier();				/* free_setting() must not be called when it is gone */
	kfree(rcu_dereference_protected(setting, 1));
	pr_info("sync: gone\n");
}

module_init(sync_sample_init);
module_exit(sync_sample_exit);

MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Locks, atomics, RCU, completions, wait queues");
