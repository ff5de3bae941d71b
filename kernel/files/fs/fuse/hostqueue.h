/* SPDX-License-Identifier: GPL-2.0-only */
/* How requests of hostshare reach the broker of shares */
#ifndef __FUSE_HOSTQUEUE_H
#define __FUSE_HOSTQUEUE_H

struct fuse_iqueue_ops;

/* The queue's private data is the number of the share */
extern const struct fuse_iqueue_ops hostqueue_ops;

int hostqueue_init(void);

#endif
