/* SPDX-License-Identifier: GPL-2.0-only */
/* Locks on files of shares of the host */
#ifndef __FUSE_HOSTLOCK_H
#define __FUSE_HOSTLOCK_H

struct file;
struct file_lock;

int hostlock_posix(struct file *file, int cmd, struct file_lock *fl);
int hostlock_flock(struct file *file, struct file_lock *fl);

#endif
