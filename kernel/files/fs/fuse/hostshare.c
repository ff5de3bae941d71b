// SPDX-License-Identifier: GPL-2.0-only
/*
 * hostshare: directories of the host, for User-Mode Linux. FUSE's client, whose
 * requests go to the broker of shares through memory that both have, and are
 * most often answered while the one who asks waits and keeps the processor.
 * What takes longer, and what nobody waits for, is told by an interrupt.
 *
 * There is one processor, and no preemption: what is not done under
 * interrupts needs no lock.
 */
#include <linux/fs_context.h>
#include <linux/init.h>
#include <linux/interrupt.h>
#include <linux/memblock.h>
#include <linux/mm.h>
#include <linux/module.h>
#include <linux/pagemap.h>
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

#define HOST_BLOCK_BITS	9
#define ENOUGH		8	/* for the worker to begin at once */

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

/* In one piece in the memory file? Not the image, which may not be in there. */
static bool is_linear(const void *at)
{
	return (unsigned long)at >= uml_reserved &&
	       (unsigned long)at < uml_physmem + physmem_size;
}

static int add_segment(struct shares_slot *slot, unsigned int *count, unsigned long at,
		       unsigned int len)
{
	unsigned int all = slot->in_segments + slot->out_segments;
	struct shares_segment *last = &slot->segments[all - 1];

	if (*count && last->offset + last->len == at) {
		last->len += len;
		return 0;
	}
	if (all == SHARES_SEGMENTS)
		return -E2BIG;
	slot->segments[all] = (struct shares_segment){ at, len };
	++*count;
	return 0;
}

static int add_folios(struct shares_slot *slot, unsigned int *count, struct fuse_args *args,
		      unsigned int size)
{
	struct fuse_args_pages *pages = container_of(args, typeof(*pages), args);
	unsigned int i;
	int err = 0;

	for (i = 0; i < pages->num_folios && size && !err; i++) {
		unsigned int len = min(pages->descs[i].length, size);

		err = add_segment(slot, count, page_to_phys(folio_page(pages->folios[i], 0)) +
				  pages->descs[i].offset, len);
		size -= len;
	}
	return err;
}

/* Arguments go into the slot; from the first that does not fit, only where they are */
static int put_arguments(struct shares_slot *slot, struct fuse_args *args)
{
	int i, err = 0;

	slot->in_len = 0;
	for (i = 0; i < args->in_numargs && !err; i++) {
		const struct fuse_in_arg *arg = &args->in_args[i];

		if (args->in_pages && i == args->in_numargs - 1) {
			err = add_folios(slot, &slot->in_segments, args, arg->size);
		} else if (!slot->in_segments && arg->size <= SHARES_INLINE - slot->in_len) {
			memcpy(slot->data + slot->in_len, arg->value, arg->size);
			slot->in_len += arg->size;
		} else if (is_linear(arg->value)) {
			err = add_segment(slot, &slot->in_segments, __pa(arg->value), arg->size);
		} else {
			err = -ENOMEM;
		}
	}
	return err;
}

static int make_room(struct shares_slot *slot, struct fuse_args *args)
{
	int i, err = 0;

	slot->out_room = 0;
	for (i = 0; i < args->out_numargs && !err; i++) {
		const struct fuse_arg *arg = &args->out_args[i];

		if (args->out_pages && i == args->out_numargs - 1)
			err = add_folios(slot, &slot->out_segments, args, arg->size);
		else if (arg->size <= SHARES_INLINE - slot->out_room)
			slot->out_room += arg->size;
		else if (is_linear(arg->value))
			err = add_segment(slot, &slot->out_segments, __pa(arg->value), arg->size);
		else
			err = -ENOMEM;
	}
	return err;
}

static int fill_slot(struct shares_slot *slot, struct fuse_req *req)
{
	int err;

	slot->share = (long)req->chan->iq.priv;
	slot->header = req->in.h;
	slot->in_segments = 0;
	slot->out_segments = 0;
	err = put_arguments(slot, req->args);
	if (!err)
		err = make_room(slot, req->args);
	return err;
}

static void zero_rest(struct fuse_args *args, unsigned int len)
{
	struct fuse_args_pages *pages = container_of(args, typeof(*pages), args);
	unsigned int i;

	for (i = 0; i < pages->num_folios; i++) {
		const struct fuse_folio_desc *desc = &pages->descs[i];
		unsigned int part = min(len, desc->length);

		len -= part;
		if (part < desc->length)
			folio_zero_range(pages->folios[i], desc->offset + part,
					 desc->length - part);
	}
}

/* Takes what the broker has answered to where FUSE wants it */
static int take_answer(struct shares_slot *slot, struct fuse_args *args)
{
	unsigned int len = READ_ONCE(slot->out_len), at = 0;
	int err = READ_ONCE(slot->error), i;

	if (err)
		return err < 0 && err > -512 ? err : -EIO;
	for (i = 0; i < args->out_numargs; i++) {
		struct fuse_arg *arg = &args->out_args[i];
		unsigned int part = min(arg->size, len);

		if (part < arg->size && !(args->out_argvar && i == args->out_numargs - 1))
			return -EIO;
		if (args->out_pages && i == args->out_numargs - 1) {
			if (args->page_zeroing)
				zero_rest(args, part);
		} else if (arg->size <= SHARES_INLINE - at) {
			memcpy(arg->value, slot->data + at, part);
			at += arg->size;
		}
		if (args->out_argvar && i == args->out_numargs - 1)
			arg->size = part;
		len -= part;
	}
	return len ? -EIO : 0;
}

/* Ends the request of a slot that has its answer */
static void end_slot(int slot)
{
	struct fuse_req *req = requests[slot];

	req->out.h.error = take_answer(&shares_area->slots[slot], req->args);
	requests[slot] = NULL;
	uses[slot] = UNUSED;
	fuse_request_end(req);
}

/* A request whose answer nobody waits for: it is as good as done */
static bool is_forgettable(const struct fuse_req *req)
{
	return req->in.h.opcode == FUSE_RELEASE || req->in.h.opcode == FUSE_RELEASEDIR;
}

/* A sync most often goes to a disk: meanwhile the processor is for others */
static bool takes_long(const struct fuse_req *req)
{
	return req->in.h.opcode == FUSE_FSYNC || req->in.h.opcode == FUSE_FSYNCDIR;
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

static void send(struct fuse_req *req)
{
	bool waits = !test_bit(FR_BACKGROUND, &req->flags) && !takes_long(req);
	int slot = get_slot(), err, woken;

	if (slot < 0) {
		list_add_tail(&req->list, &postponed);
		await_slot();
		return;
	}
	err = fill_slot(&shares_area->slots[slot], req);
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
	if (waits && shares_await(shares_area, &shares_area->slots[slot], woken) &&
	    requests[slot] == req)
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

static void hostshare_send_req(struct fuse_iqueue *queue, struct fuse_req *req)
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

static void hostshare_send_forget(struct fuse_iqueue *queue, struct fuse_forget_link *link)
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
static void hostshare_send_interrupt(struct fuse_iqueue *queue, struct fuse_req *req)
{
}

static const struct fuse_iqueue_ops hostshare_ops = {
	.send_forget = hostshare_send_forget,
	.send_interrupt = hostshare_send_interrupt,
	.send_req = hostshare_send_req,
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

static int fill_super(struct super_block *sb, struct fs_context *fsc)
{
	struct fuse_mount *mount = get_fuse_mount_super(sb);
	struct fuse_fs_context *context = fsc->fs_private;
	int err;

	context->rootmode = S_IFDIR;
	context->default_permissions = true;
	context->allow_other = true;
	context->max_read = SHARES_PAGES << PAGE_SHIFT;
	context->blksize = 1 << HOST_BLOCK_BITS;
	context->destroy = true;
	context->no_control = true;
	context->no_force_umount = true;
	err = fuse_fill_super_common(sb, context);
	return err ? err : fuse_send_init(mount);
}

static int test_super(struct super_block *sb, struct fs_context *fsc)
{
	struct fuse_mount *mount = fsc->s_fs_info;

	return get_fuse_mount_super(sb)->fc->chan->iq.priv == mount->fc->chan->iq.priv;
}

static struct fuse_mount *new_mount(struct fs_context *fsc, long share)
{
	struct fuse_conn *conn = kzalloc_obj(*conn);
	struct fuse_mount *mount = kzalloc_obj(*mount);
	struct fuse_chan *chan = fuse_chan_new();

	if (!conn || !mount || !chan) {
		kfree(conn);
		kfree(mount);
		if (chan)
			fuse_chan_free(chan);
		return NULL;
	}
	fuse_iqueue_init(&chan->iq, &hostshare_ops, (void *)share);
	chan->no_interrupt = true;
	fuse_conn_init(conn, mount, fsc->user_ns, chan);
	conn->release = fuse_free_conn;
	conn->delete_stale = true;
	conn->host_locks = true;
	conn->sync_init = true;
	conn->use_pages_for_kvec_io = true;
	conn->max_pages_limit = SHARES_PAGES;
	return mount;
}

static int get_tree(struct fs_context *fsc)
{
	struct fuse_mount *mount;
	struct super_block *sb;
	unsigned int share;
	int err;

	if (!fsc->source || kstrtouint(fsc->source, 10, &share) || share >= shares_count)
		return invalf(fsc, "No share of that number");
	mount = new_mount(fsc, share);
	if (!mount)
		return -ENOMEM;
	fsc->s_fs_info = mount;
	sb = sget_fc(fsc, test_super, set_anon_super_fc);
	if (fsc->s_fs_info)
		fuse_mount_destroy(mount);
	if (IS_ERR(sb))
		return PTR_ERR(sb);
	if (!sb->s_root) {
		err = fill_super(sb, fsc);
		if (err) {
			deactivate_locked_super(sb);
			return err;
		}
		sb->s_flags |= SB_ACTIVE;
	}
	fsc->root = dget(sb->s_root);
	return 0;
}

static void free_context(struct fs_context *fsc)
{
	kfree(fsc->fs_private);
}

static const struct fs_context_operations context_ops = {
	.free = free_context,
	.get_tree = get_tree,
};

static int init_context(struct fs_context *fsc)
{
	if (fsc->purpose == FS_CONTEXT_FOR_SUBMOUNT)
		return fuse_init_fs_context_submount(fsc);
	fsc->fs_private = kzalloc_obj(struct fuse_fs_context);
	if (!fsc->fs_private)
		return -ENOMEM;
	fsc->ops = &context_ops;
	return 0;
}

static void kill_sb(struct super_block *sb)
{
	struct fuse_mount *mount = get_fuse_mount_super(sb);

	if (sb->s_root && fuse_mount_remove(mount))
		fuse_conn_destroy(mount);
	kill_anon_super(sb);
	fuse_mount_destroy(mount);
}

static struct file_system_type hostshare_type = {
	.owner = THIS_MODULE,
	.name = "hostshare",
	.init_fs_context = init_context,
	.kill_sb = kill_sb,
};
MODULE_ALIAS_FS("hostshare");

static int __init hostshare_init(void)
{
	int err;

	if (!shares_count)
		return 0;
	err = um_request_irq(UM_IRQ_ALLOC, shares_interrupt_fd(), IRQ_READ, interrupt, 0,
			     "hostshare", &hostshare_type);
	return err < 0 ? err : register_filesystem(&hostshare_type);
}
late_initcall(hostshare_init);
