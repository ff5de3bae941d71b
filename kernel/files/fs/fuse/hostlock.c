// SPDX-License-Identifier: GPL-2.0-only
/*
 * Locks on files of shares. Among themselves, the container's processes have
 * those of any Linux; what they have of a file, taken together, is a lock of
 * the broker's on the host, so that other containers and the host's programs
 * see it. A lock is also where data of others is seen: what is cached of the
 * file is forgotten when one is taken, and written before it is given back.
 */
#include <linux/filelock.h>
#include <linux/mutex.h>
#include <linux/pagemap.h>
#include "fuse_i.h"
#include "hostlock.h"

#define MOST_PAUSE	4	/* jiffies between two tries */

/* What is held here and what the host is told must not be mixed up */
static DEFINE_MUTEX(locking);

static int ask_host(struct file *file, unsigned int opcode, const struct fuse_file_lock *lock,
		    unsigned int flags, struct fuse_lk_out *out)
{
	struct inode *inode = file_inode(file);
	struct fuse_file *ff = file->private_data;
	struct fuse_lk_in in = { .fh = ff->fh, .lk = *lock, .lk_flags = flags };
	struct fuse_args args = {
		.opcode = opcode,
		.nodeid = get_node_id(inode),
		.in_numargs = 1,
		.in_args[0] = { .size = sizeof(in), .value = &in },
	};

	if (out) {
		args.out_numargs = 1;
		args.out_args[0].size = sizeof(*out);
		args.out_args[0].value = out;
	}
	/* Also when its process is being killed */
	args.force = lock->type == F_UNLCK;
	return fuse_simple_request(get_fuse_mount(inode), &args);
}

static void write_back(struct inode *inode)
{
	if (inode->i_mapping->nrpages)
		filemap_write_and_wait(inode->i_mapping);
}

/* Somebody else may have changed the file until now */
static void forget_data(struct inode *inode)
{
	fuse_invalidate_attr(inode);
	write_back(inode);
	if (inode->i_mapping->nrpages)
		invalidate_inode_pages2(inode->i_mapping);
}

static unsigned int stronger(unsigned int one, unsigned int other)
{
	if (one == F_WRLCK || other == F_UNLCK)
		return one;
	return other;
}

/* What the container has locked at @at; @end: up to where that is so */
static unsigned int held_at(struct inode *inode, loff_t at, loff_t *end)
{
	struct file_lock_context *context = locks_inode_context(inode);
	unsigned int type = F_UNLCK;
	struct file_lock *lock;

	spin_lock(&context->flc_lock);
	list_for_each_entry(lock, &context->flc_posix, c.flc_list) {
		if (lock->fl_start > at) {
			*end = min(*end, lock->fl_start - 1);
		} else if (lock->fl_end >= at) {
			*end = min(*end, lock->fl_end);
			type = stronger(type, lock->c.flc_type);
		}
	}
	spin_unlock(&context->flc_lock);
	return type;
}

/* Gives the host back what nobody here has any more */
static void give_back(struct file *file, loff_t start, loff_t last)
{
	struct fuse_file_lock held = { .start = start };
	loff_t end;

	do {
		end = last;
		held.type = held_at(file_inode(file), held.start, &end);
		held.end = end;
		ask_host(file, FUSE_SETLK, &held, 0, NULL);
		held.start = end + 1;
	} while (end < last);
}

static int unlock(struct file *file, struct file_lock *fl)
{
	struct file_lock_context *context = locks_inode_context(file_inode(file));
	int err;

	if (!context || list_empty_careful(&context->flc_posix))
		return posix_lock_file(file, fl, NULL);
	write_back(file_inode(file));
	mutex_lock(&locking);
	err = posix_lock_file(file, fl, NULL);
	if (!err)
		give_back(file, fl->fl_start, fl->fl_end);
	mutex_unlock(&locking);
	return err;
}

static void copy_for_test(struct file_lock *test, struct file_lock *fl)
{
	locks_init_lock(test);
	test->c.flc_owner = fl->c.flc_owner;
	test->c.flc_file = fl->c.flc_file;
	test->c.flc_flags = fl->c.flc_flags;
	test->c.flc_type = fl->c.flc_type;
	test->fl_start = fl->fl_start;
	test->fl_end = fl->fl_end;
}

/* The host is asked only for what nobody here has: an answer of its changes nothing else */
static int try_lock(struct file *file, struct file_lock *fl)
{
	const struct fuse_file_lock wanted = {
		.start = fl->fl_start, .end = fl->fl_end, .type = fl->c.flc_type,
	};
	struct file_lock test;
	int err = 0;

	copy_for_test(&test, fl);
	mutex_lock(&locking);
	posix_test_lock(file, &test);
	if (test.c.flc_type == F_UNLCK)
		err = ask_host(file, FUSE_SETLK, &wanted, 0, NULL);
	if (!err)
		err = posix_lock_file(file, fl, NULL);
	if (err && err != FILE_LOCK_DEFERRED && test.c.flc_type == F_UNLCK &&
	    locks_inode_context(file_inode(file)))
		give_back(file, fl->fl_start, fl->fl_end);
	mutex_unlock(&locking);
	return err;
}

/* The broker cannot wait for others on the host, so it is asked again; 0, or a signal came */
static int pause_before_next(int *pause)
{
	*pause = min(*pause + 1, MOST_PAUSE);
	schedule_timeout_interruptible(*pause);
	return signal_pending(current) ? -ERESTARTSYS : 0;
}

static int set_lock(struct file *file, struct file_lock *fl)
{
	int err, pause = 0;

	for (;;) {
		err = try_lock(file, fl);
		/* One who waits for somebody here is told otherwise */
		if (err != -EAGAIN || !(fl->c.flc_flags & FL_SLEEP))
			break;
		err = pause_before_next(&pause);
		if (err)
			break;
	}
	if (!err)
		forget_data(file_inode(file));
	return err;
}

static int get_lock(struct file *file, struct file_lock *fl)
{
	const struct fuse_file_lock wanted = {
		.start = fl->fl_start, .end = fl->fl_end, .type = fl->c.flc_type,
	};
	struct fuse_lk_out out;
	int err;

	posix_test_lock(file, fl);
	if (fl->c.flc_type != F_UNLCK || wanted.type == F_UNLCK)
		return 0;
	err = ask_host(file, FUSE_GETLK, &wanted, 0, &out);
	if (err || out.lk.type == F_UNLCK)
		return err;
	if (out.lk.type > F_UNLCK || out.lk.start > out.lk.end || out.lk.end > OFFSET_MAX)
		return -EIO;
	fl->c.flc_type = out.lk.type;
	fl->c.flc_pid = -1;	/* nobody here */
	fl->fl_start = out.lk.start;
	fl->fl_end = out.lk.end;
	return 0;
}

/**
 * hostlock_posix() - a lock of fcntl()
 */
int hostlock_posix(struct file *file, int cmd, struct file_lock *fl)
{
	if (cmd == F_CANCELLK)
		return 0;
	if (cmd == F_GETLK)
		return get_lock(file, fl);
	return fl->c.flc_type == F_UNLCK ? unlock(file, fl) : set_lock(file, fl);
}

/* The host's lock becomes what all here have, taken together */
static int tell_flock(struct file *file)
{
	struct file_lock_context *context = locks_inode_context(file_inode(file));
	struct fuse_file_lock all = { .end = OFFSET_MAX, .type = F_UNLCK };
	struct file_lock *lock;
	int err;

	if (!context)
		return 0;
	mutex_lock(&locking);
	spin_lock(&context->flc_lock);
	list_for_each_entry(lock, &context->flc_flock, c.flc_list)
		all.type = stronger(all.type, lock->c.flc_type);
	spin_unlock(&context->flc_lock);
	err = ask_host(file, FUSE_SETLK, &all, FUSE_LK_FLOCK, NULL);
	mutex_unlock(&locking);
	return err;
}

static void drop_flock(struct file *file, const struct file_lock *fl)
{
	struct file_lock none;

	locks_init_lock(&none);
	none.c.flc_file = file;
	none.c.flc_owner = fl->c.flc_owner;
	none.c.flc_pid = fl->c.flc_pid;
	none.c.flc_flags = FL_FLOCK;
	none.c.flc_type = F_UNLCK;
	none.fl_end = OFFSET_MAX;
	locks_lock_file_wait(file, &none);
	tell_flock(file);
}

static int set_flock(struct file *file, struct file_lock *fl)
{
	int err, pause = 0;

	for (;;) {
		err = locks_lock_file_wait(file, fl);
		if (!err)
			err = tell_flock(file);
		if (!err)
			break;
		/* As on any Linux, who cannot have another lock has lost the one before */
		drop_flock(file, fl);
		if (err != -EAGAIN || !(fl->c.flc_flags & FL_SLEEP))
			return err;
		err = pause_before_next(&pause);
		if (err)
			return err;
	}
	forget_data(file_inode(file));
	return 0;
}

/**
 * hostlock_flock() - a lock of flock()
 */
int hostlock_flock(struct file *file, struct file_lock *fl)
{
	if (fl->c.flc_type != F_UNLCK)
		return set_flock(file, fl);
	write_back(file_inode(file));
	drop_flock(file, fl);
	return 0;
}
