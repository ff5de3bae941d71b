// SPDX-License-Identifier: GPL-2.0-only
/*
 * The broker of shares: a process that has the host's files. It is forked
 * before the kernel's memory becomes shared, so its code, data and stack are
 * its own; of the memory file it has a mapping, not executable, at a place of
 * its own. Handles are descriptors of directories, and of files that are
 * open; a name is one component, and no link is followed.
 */
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <linux/futex.h>
#include "../inproc/raw.h"
#include "broker.h"

#define STDERR		2
#define MOST_CLOSING	256	/* files that the guest has closed, but not told of */
#define INHERITED	64	/* descriptors that the kernel may have been started with */

char broker_buffer[BROKER_BUFFER_SIZE];

static char *memory;
static unsigned long memory_size;
static struct shares_area *area;
static int pipe_fd;

/* A reply to FUSE_INIT: what the guest may ask, and how much at once */
static int do_init(struct request *request)
{
	const struct fuse_init_in *in = ARGUMENT(request, struct fuse_init_in);
	static const struct fuse_init_out out = {
		.major = FUSE_KERNEL_VERSION,
		.minor = 36,
		.max_readahead = SHARES_PAGES * 4096,
		.flags = FUSE_ASYNC_READ | FUSE_ATOMIC_O_TRUNC | FUSE_BIG_WRITES |
			 FUSE_AUTO_INVAL_DATA | FUSE_DO_READDIRPLUS | FUSE_READDIRPLUS_AUTO |
			 FUSE_PARALLEL_DIROPS | FUSE_MAX_PAGES | FUSE_CACHE_SYMLINKS |
			 FUSE_HANDLE_KILLPRIV_V2,
		.max_background = MOST_CLOSING,
		.congestion_threshold = MOST_CLOSING,
		.max_write = SHARES_PAGES * 4096,
		.time_gran = 1,
		.max_pages = SHARES_PAGES,
	};

	if (!in || in->major != FUSE_KERNEL_VERSION)
		return -EPROTO;
	return broker_answer(request, &out, sizeof(out));
}

static int do_nothing(struct request *request)
{
	return 0;
}

static int (*const operations[])(struct request *) = {
	[FUSE_LOOKUP] = do_lookup,
	[FUSE_FORGET] = do_forget,
	[FUSE_GETATTR] = do_getattr,
	[FUSE_SETATTR] = do_setattr,
	[FUSE_READLINK] = do_readlink,
	[FUSE_SYMLINK] = do_symlink,
	[FUSE_MKNOD] = do_mknod,
	[FUSE_MKDIR] = do_mkdir,
	[FUSE_UNLINK] = do_unlink,
	[FUSE_RMDIR] = do_rmdir,
	[FUSE_RENAME] = do_rename,
	[FUSE_LINK] = do_link,
	[FUSE_OPEN] = do_open,
	[FUSE_READ] = do_read,
	[FUSE_WRITE] = do_write,
	[FUSE_STATFS] = do_statfs,
	[FUSE_RELEASE] = do_release,
	[FUSE_FSYNC] = do_fsync,
	[FUSE_SETXATTR] = do_setxattr,
	[FUSE_GETXATTR] = do_getxattr,
	[FUSE_LISTXATTR] = do_listxattr,
	[FUSE_REMOVEXATTR] = do_removexattr,
	[FUSE_INIT] = do_init,
	[FUSE_OPENDIR] = do_opendir,
	[FUSE_READDIR] = do_readdir,
	[FUSE_RELEASEDIR] = do_release,
	[FUSE_FSYNCDIR] = do_fsync,
	[FUSE_GETLK] = do_getlk,
	[FUSE_SETLK] = do_setlk,
	[FUSE_CREATE] = do_create,
	[FUSE_DESTROY] = do_nothing,
	[FUSE_BATCH_FORGET] = do_batch_forget,
	[FUSE_FALLOCATE] = do_fallocate,
	[FUSE_READDIRPLUS] = do_readdirplus,
	[FUSE_RENAME2] = do_rename2,
	[FUSE_LSEEK] = do_lseek,
	[FUSE_COPY_FILE_RANGE] = do_copy_file_range,
};

/**
 * broker_answer() - adds to the answer
 *
 * Returns: 0, or -EIO: there is no room for it.
 */
int broker_answer(struct request *request, const void *data, size_t len)
{
	struct iovec *page = request->pages + request->in_pages;
	size_t at = request->out_len, part;

	if (len > request->room - at)
		return -EIO;
	request->out_len += len;
	if (at < request->out_room) {
		part = request->out_room - at < len ? request->out_room - at : len;
		memcpy(request->out + at, data, part);
		data += part;
		len -= part;
		at = 0;
	} else {
		at -= request->out_room;
	}
	for (; len; page++) {
		if (at >= page->iov_len) {
			at -= page->iov_len;
			continue;
		}
		part = page->iov_len - at < len ? page->iov_len - at : len;
		memcpy(page->iov_base + at, data, part);
		data += part;
		len -= part;
		at = 0;
	}
	return 0;
}

static int take_segments(struct request *request, const struct shares_slot *slot)
{
	unsigned int count = request->in_pages + request->out_pages, i;

	for (i = 0; i < count; i++) {
		const volatile struct shares_segment *segment = &slot->segments[i];
		unsigned long at = segment->offset, len = segment->len;

		if (at >= memory_size || len > memory_size - at)
			return -EFAULT;
		request->pages[i] = (struct iovec){ memory + at, len };
		if (i < request->in_pages)
			request->in_pages_len += len;
		else
			request->room += len;
	}
	return 0;
}

/* Copies a request, which the guest may change all the time */
static int take(struct request *request, struct shares_slot *slot)
{
	const volatile struct shares_slot *now = slot;

	request->slot = slot;
	request->share = now->share;
	request->in_len = now->in_len;
	request->out_room = now->out_room;
	request->in_pages = now->in_segments;
	request->out_pages = now->out_segments;
	request->in_pages_len = 0;
	request->out_len = 0;
	if (request->in_len > SHARES_INLINE || request->out_room > SHARES_INLINE ||
	    request->in_pages > SHARES_SEGMENTS ||
	    request->out_pages > SHARES_SEGMENTS - request->in_pages)
		return -EINVAL;
	memcpy(&request->header, &slot->header, sizeof(request->header));
	memcpy(request->in, slot->data, request->in_len);
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	request->in[request->in_len] = 0;
	request->out = slot->data;
	request->room = request->out_room;
	return take_segments(request, slot);
}

static int carry_out(struct request *request)
{
	unsigned int opcode = request->header.opcode;

	if (opcode >= ARRAY_SIZE(operations) || !operations[opcode])
		return -ENOSYS;
	if (!node_find(request, FUSE_ROOT_ID))
		return -EINVAL;
	return operations[opcode](request);
}

/**
 * broker_finish() - a request has its answer
 */
void broker_finish(struct shares_slot *slot, int error, size_t len)
{
	slot->error = error;
	slot->out_len = len;
	__atomic_store_n(&slot->state, SHARES_ANSWERED, __ATOMIC_SEQ_CST);
	switch (__atomic_load_n(&slot->tell, __ATOMIC_SEQ_CST)) {
	case SHARES_SLEEPS:
		raw_syscall6(__NR_futex, (long)&slot->state, FUTEX_WAKE, 1, 0, 0, 0);
		break;
	case SHARES_GOES_ON:
		/* If it is full, there is enough to wake somebody */
		raw_syscall3(__NR_write, pipe_fd, (long)"", 1);
	}
}

static void serve_one(struct shares_slot *slot)
{
	static struct request request;
	int error;

	if (__atomic_load_n(&slot->state, __ATOMIC_ACQUIRE) != SHARES_ASKED)
		return;
	__atomic_store_n(&slot->state, SHARES_TAKEN, __ATOMIC_RELEASE);
	error = take(&request, slot);
	if (!error)
		error = carry_out(&request);
	if (error != BROKER_LATER)
		broker_finish(slot, error, error ? 0 : request.out_len);
}

/* Waits until more than @taken has been asked; returns how much */
static unsigned int await(unsigned int taken)
{
	unsigned long begin = broker_cycles();
	unsigned int asked;

	for (;;) {
		asked = __atomic_load_n(&area->asked, __ATOMIC_ACQUIRE);
		if (asked != taken)
			return asked;
		if (*(volatile int *)&area->brisk && broker_cycles() - begin < BROKER_SPIN_CYCLES) {
			__builtin_ia32_pause();
			continue;
		}
		__atomic_store_n(&area->asleep, 1, __ATOMIC_SEQ_CST);
		syscall(__NR_futex, &area->asked, FUTEX_WAIT, taken, NULL, NULL, 0);
		__atomic_store_n(&area->asleep, 0, __ATOMIC_SEQ_CST);
		begin = broker_cycles();
	}
}

/*
 * May @slot wait until @last is answered? The guest goes on after a close
 * without an answer. An open of the same file wants to know what that saw.
 */
static int can_wait(const volatile struct shares_slot *slot,
		    const volatile struct shares_slot *last)
{
	switch (slot->header.opcode) {
	case FUSE_RELEASE:
	case FUSE_RELEASEDIR:
	case FUSE_FORGET:
		return slot->header.nodeid != last->header.nodeid;
	}
	return 0;
}

/* What was asked meanwhile; the last of it is most often what somebody waits for */
static void serve_all(unsigned int taken, unsigned int asked)
{
	struct shares_slot *slots[SHARES_SLOTS], *last;
	unsigned int count = asked - taken, i;

	for (i = 0; i < count; i++) {
		unsigned char at = ((volatile unsigned char *)area->order)
				   [(taken + i) % SHARES_SLOTS];

		slots[i] = &area->slots[at % SHARES_SLOTS];
	}
	last = slots[count - 1];
	for (i = 0; i < count; i++)
		if (!can_wait(slots[i], last))
			serve_one(slots[i]);
	for (i = 0; i < count; i++)
		serve_one(slots[i]);
}

static void __attribute__((noreturn)) serve(void)
{
	unsigned int taken = 0, asked;

	for (;;) {
		asked = await(taken);
		if (asked - taken > SHARES_SLOTS)
			taken = asked - SHARES_SLOTS;
		serve_all(taken, asked);
		taken = asked;
	}
}

static void __attribute__((noreturn)) give_up(const char *why)
{
	dprintf(STDERR, "shares: the broker %s: %s\n", why, strerror(errno));
	for (;;)
		_exit(1);
}

int broker_main(void *argument)
{
	struct broker_start start = *(struct broker_start *)argument;
	int fd, sig;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	memory_size = start.memory_size;
	memory = mmap(NULL, memory_size, PROT_READ | PROT_WRITE, MAP_SHARED, start.memory_fd, 0);
	if (memory == MAP_FAILED)
		give_up("has no memory");
	area = (struct shares_area *)(memory + start.area_offset);
	munmap((void *)start.unwanted, start.unwanted_end - start.unwanted);
	pipe_fd = start.pipe_fd;
	for (fd = 0; fd < INHERITED; fd++)
		if (fd != STDERR && fd != pipe_fd)
			close(fd);
	for (sig = 1; sig < NSIG; sig++)
		signal(sig, SIG_DFL);
	if (nodes_init(start.shares, memory_size))
		give_up("cannot open the shares");
	if (slow_init())
		give_up("has no threads");
	if (broker_filter())
		give_up("has no filter");
	/* The console is no file of a share */
	close(STDERR);
	serve();
}
