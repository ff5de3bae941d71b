/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * Shares: directories of the host. The guest's kernel asks for them in FUSE's
 * words (fs/fuse/hostqueue.c), through memory that it has in common with the
 * broker, a process that has the host's files (arch/um/os-Linux/shares/).
 *
 * All offsets are of the memory file, which is the guest's physical memory.
 */
#ifndef __UM_SHARES_H
#define __UM_SHARES_H

#include <linux/fuse.h>

#define SHARES_SLOTS		16
#define SHARES_PAGES		128	/* data of one request: 512 KiB */
#define SHARES_SEGMENTS		(SHARES_PAGES + 1)
#define SHARES_INLINE		4608	/* a name and the target of a link fit */

/* Values of shares_slot.state */
#define SHARES_FREE		0
#define SHARES_ASKED		1
#define SHARES_TAKEN		2
#define SHARES_ANSWERED		3

/* Values of shares_slot.tell: how the kernel wants to learn of the answer */
#define SHARES_LOOKS		0	/* it looks */
#define SHARES_SLEEPS		1	/* by a futex: its state */
#define SHARES_GOES_ON		2	/* by an interrupt */

struct shares_segment {
	unsigned long offset;
	unsigned long len;
};

/*
 * One request and its answer.
 *
 * @state: futex; the kernel's while free or answered, else the broker's
 * @tell: see above
 * @share: which one
 * @error: of the answer: 0 or a negative error number
 * @in_len: bytes of arguments in @data
 * @out_room: bytes that the answer may have in @data; the rest goes to segments
 * @out_len: bytes of the answer
 * @in_segments: how many segments belong to the arguments, behind @in_len
 * @out_segments: how many, behind those, take what does not fit in @out_room
 * @header: FUSE's
 * @data: arguments, then the answer
 */
struct shares_slot {
	int state;
	int tell;
	int share;
	int error;
	unsigned int in_len;
	unsigned int out_room;
	unsigned int out_len;
	unsigned int in_segments;
	unsigned int out_segments;
	struct fuse_in_header header;
	struct shares_segment segments[SHARES_SEGMENTS];
	char data[SHARES_INLINE];
} __attribute__((aligned(64)));

/*
 * @asked: futex: counts requests; @order has the slot of each
 * @asleep: the broker waits on that futex
 * @brisk: both wait for each other for a moment before they sleep
 */
struct shares_area {
	unsigned int asked;
	int asleep;
	int brisk;
	unsigned char order[SHARES_SLOTS];
	struct shares_slot slots[SHARES_SLOTS] __attribute__((aligned(64)));
};

/* arch/um/os-Linux/shares/start.c */
extern int shares_count;
void shares_fork(struct shares_area *area, unsigned long area_offset, int memory_fd,
		 unsigned long kernel_memory, unsigned long kernel_memory_end);
int shares_interrupt_fd(void);
int shares_await(struct shares_area *area, struct shares_slot *slot, int woken);
void shares_count_up(struct shares_area *area);
int shares_wake(struct shares_area *area);

/* fs/fuse/hostqueue.c */
void shares_start(unsigned long kernel_memory);

#endif
