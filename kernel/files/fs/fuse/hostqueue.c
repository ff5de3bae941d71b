// SPDX-License-Identifier: GPL-2.0-only
/*
 * Requests of hostshare go to the broker of shares through memory that both
 * have, and are most often answered while the one who asks waits and keeps the
 * processor. What takes longer, and what nobody waits for, is told by an
 * interrupt.
 *
 * There is one processor, and no preemption: what is not done under
 * interrupts needs no lock.
 */
#include <linux/init.h>
#include <linux/interrupt.h>
#include <linux/memblock.h>
#include <linux/mm.h>
#include <linux/slab.h>
#include <linux/workqueue.h>
#include <linux/xattr.h>
#include <as-layout.h>
#include <irq_kern.h>
#include <mem_user.h>
#include <os.h>
#include <shares.h>
#include "args.h"
#include "dev.h"
#include "fuse_dev_i.h"
#include "fuse_i.h"
#include "hostqueue.h"
#include "hostslot.h"

#define ENOUGH		8	/* for the worker to begin at once */
#define AT_ONCE		(64 << 10)	/* what is read while everybody waits: bytes */

/* What a slot is for, on the kernel's side: nobody, a request, or what none awaits */
enum use {
	UNUSED, REQUEST, FORGOTTEN,
};

struct forget {
	struct list_head list;
	long share;
	struct fuse_forget_one one;
};

static struct shares_area *shares_area;
static enum use uses[SHARES_SLOTS];
static struct fuse_req *requests[SHARES_SLOTS];
static LIST_HEAD(postponed);	/* there was no slot */
static LIST_HEAD(forgets);	/* the same */
static LIST_HEAD(ended);	/* to be ended by the worker */

static unsigned int hurry;	/* what has been left to the worker and can wait a little */

static void work(struct work_struct *unused);
static DECLARE_DELAYED_WORK(worker, work);

/**
 * shares_start() - starts the broker, if there are shares
 * @kernel_memory:	where the kernel's memory begins that is shared already
 */
void __init shares_start(unsigned long kernel_memory)
{
	unsigned long long offset;
	int fd;

	if (!shares_count)
		return;
	shares_area = memblock_alloc_or_panic(sizeof(*shares_area), PAGE_SIZE);
	fd = phys_mapping(__pa(shares_area), &offset);
	shares_fork(shares_area, offset, fd, kernel_memory, uml_physmem + physmem_size);
}

static bool answered(unsigned int slot)
{
	/* The answer is there before its state says so */
	return smp_load_acquire(&shares_area->slots[slot].state) == SHARES_ANSWERED;
}

/* Returns a free slot, or a negative number: all wait for answers */
static int get_slot(void)
{
	int i;

	for (i = 0; i < SHARES_SLOTS; i++) {
		if (uses[i] == FORGOTTEN && answered(i))
			uses[i] = UNUSED;
		if (uses[i] == UNUSED)
			return i;
	}
	return -EBUSY;
}

/* There will be a slot: has the worker told when that of a forgotten one is free */
static void await_slot(void)
{
	int i;

	for (i = 0; i < SHARES_SLOTS; i++) {
		if (uses[i] != FORGOTTEN)
			continue;
		/* Either the broker sees this, or the answer is seen here */
		smp_store_mb(shares_area->slots[i].tell, SHARES_GOES_ON);
		if (answered(i))
			mod_delayed_work(system_percpu_wq, &worker, 0);
	}
	shares_wake(shares_area);
}

static void post(int slot, enum use use)
{
	uses[slot] = use;
	shares_area->order[shares_area->asked % SHARES_SLOTS] = slot;
	/* After all that the broker is to read */
	smp_store_release(&shares_area->slots[slot].state, SHARES_ASKED);
	shares_count_up(shares_area);
}

/* Ends the request of a slot that has its answer */
static void end_slot(int slot)
{
	struct fuse_req *req = requests[slot];

	req->out.h.error = hostslot_take(&shares_area->slots[slot], req->args);
	requests[slot] = NULL;
	uses[slot] = UNUSED;
	fuse_request_end(req);
}

/* A request whose answer nobody waits for: it is as good as done */
static bool is_forgettable(const struct fuse_req *req)
{
	return req->in.h.opcode == FUSE_RELEASE || req->in.h.opcode == FUSE_RELEASEDIR;
}

/*
 * Is the answer there sooner than anybody else could do much? A sync most
 * often goes to a disk. A small file is read as if that could wait, but nobody
 * goes on without.
 */
static bool is_awaited(const struct fuse_req *req)
{
	if (req->in.h.opcode == FUSE_FSYNC || req->in.h.opcode == FUSE_FSYNCDIR)
		return false;
	if (!test_bit(FR_BACKGROUND, &req->flags))
		return true;
	return req->in.h.opcode == FUSE_READ && req->args->out_args[0].size <= AT_ONCE;
}

/*
 * What can wait is done with the next request that somebody waits for, or by
 * the worker, a little later: waking broker and worker for each would cost
 * more than all else.
 */
static void leave_to_worker(void)
{
	if (++hurry < ENOUGH)
		schedule_delayed_work(&worker, 1);
	else
		mod_delayed_work(system_percpu_wq, &worker, 0);
}

/* Background requests may not be ended by who sends them */
static void end_later(struct fuse_req *req, int error)
{
	req->out.h.error = error;
	list_add_tail(&req->list, &ended);
	leave_to_worker();
}

/* The same for one that has its answer */
static void leave_slot_to_worker(int slot)
{
	shares_area->slots[slot].tell = SHARES_GOES_ON;
	mod_delayed_work(system_percpu_wq, &worker, 0);
}

static void send(struct fuse_req *req)
{
	bool waits = is_awaited(req);
	int slot = get_slot(), err, woken;

	if (slot < 0) {
		list_add_tail(&req->list, &postponed);
		await_slot();
		return;
	}
	err = hostslot_fill(&shares_area->slots[slot], req);
	if (err) {
		end_later(req, err);
		return;
	}
	if (is_forgettable(req)) {
		shares_area->slots[slot].tell = SHARES_LOOKS;
		post(slot, FORGOTTEN);
		end_later(req, 0);
		return;
	}
	requests[slot] = req;
	shares_area->slots[slot].tell = waits ? SHARES_LOOKS : SHARES_GOES_ON;
	post(slot, REQUEST);
	woken = shares_wake(shares_area);
	if (!waits || !shares_await(shares_area, &shares_area->slots[slot], woken) ||
	    requests[slot] != req)
		return;
	if (test_bit(FR_BACKGROUND, &req->flags))
		leave_slot_to_worker(slot);
	else
		end_slot(slot);
}

/*
 * The kernel asks for capabilities of a file whenever it is written or given
 * away. There are none: that needs no broker.
 */
static bool is_known(const struct fuse_req *req)
{
	return req->in.h.opcode == FUSE_GETXATTR && !test_bit(FR_BACKGROUND, &req->flags) &&
	       !strcmp(req->args->in_args[1].value, XATTR_NAME_CAPS);
}

static void hostqueue_send_req(struct fuse_iqueue *queue, struct fuse_req *req)
{
	fuse_request_assign_unique(queue, req);
	clear_bit(FR_PENDING, &req->flags);
	if (is_known(req)) {
		req->out.h.error = -EOPNOTSUPP;
		fuse_request_end(req);
		return;
	}
	send(req);
}

static void post_forget(int i, long share, const struct fuse_forget_one *one)
{
	struct shares_slot *slot = &shares_area->slots[i];

	slot->share = share;
	slot->header = (struct fuse_in_header){ .opcode = FUSE_FORGET, .nodeid = one->nodeid };
	memcpy(slot->data, &one->nlookup, sizeof(one->nlookup));
	slot->in_len = sizeof(one->nlookup);
	slot->in_segments = 0;
	slot->out_segments = 0;
	slot->out_room = 0;
	slot->tell = SHARES_LOOKS;
	post(i, FORGOTTEN);
	leave_to_worker();
}

static void hostqueue_send_forget(struct fuse_iqueue *queue, struct fuse_forget_link *link)
{
	struct forget *forget;
	int slot = get_slot();

	if (slot >= 0) {
		post_forget(slot, (long)queue->priv, &link->forget_one);
	} else {
		forget = kmalloc_obj(*forget, GFP_NOFS | __GFP_NOFAIL);
		forget->share = (long)queue->priv;
		forget->one = link->forget_one;
		list_add_tail(&forget->list, &forgets);
		await_slot();
	}
	kfree(link);
}

/* The host's calls on files cannot be interrupted either */
static void hostqueue_send_interrupt(struct fuse_iqueue *queue, struct fuse_req *req)
{
}

const struct fuse_iqueue_ops hostqueue_ops = {
	.send_forget = hostqueue_send_forget,
	.send_interrupt = hostqueue_send_interrupt,
	.send_req = hostqueue_send_req,
};

static void wake_for_forgotten(void)
{
	int i;

	for (i = 0; i < SHARES_SLOTS; i++)
		if (uses[i] == FORGOTTEN && !answered(i)) {
			shares_wake(shares_area);
			return;
		}
}

static void work(struct work_struct *unused)
{
	struct forget *forget;
	struct fuse_req *req;
	int i;

	hurry = 0;
	wake_for_forgotten();
	while ((req = list_first_entry_or_null(&ended, struct fuse_req, list))) {
		list_del_init(&req->list);
		fuse_request_end(req);
	}
	for (i = 0; i < SHARES_SLOTS; i++)
		if (uses[i] == REQUEST && answered(i) &&
		    shares_area->slots[i].tell == SHARES_GOES_ON)
			end_slot(i);
	while ((i = get_slot()) >= 0 &&
	       (forget = list_first_entry_or_null(&forgets, struct forget, list))) {
		list_del(&forget->list);
		post_forget(i, forget->share, &forget->one);
		kfree(forget);
	}
	while (get_slot() >= 0 &&
	       (req = list_first_entry_or_null(&postponed, struct fuse_req, list))) {
		list_del_init(&req->list);
		send(req);
	}
	if (!list_empty(&forgets) || !list_empty(&postponed))
		await_slot();
}

static irqreturn_t interrupt(int irq, void *unused)
{
	char bytes[64];
	int n;

	do {
		n = os_read_file(shares_interrupt_fd(), bytes, sizeof(bytes));
	} while (n == sizeof(bytes) || n == -EINTR);
	if (!n)
		panic("hostshare: the broker of shares has ended\n");
	mod_delayed_work(system_percpu_wq, &worker, 0);
	return IRQ_HANDLED;
}

/**
 * hostqueue_init() - from here on, answers come by interrupts, too
 */
int __init hostqueue_init(void)
{
	int err = um_request_irq(UM_IRQ_ALLOC, shares_interrupt_fd(), IRQ_READ, interrupt, 0,
				 "hostshare", &worker);

	return err < 0 ? err : 0;
}
