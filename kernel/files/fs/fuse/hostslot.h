/* SPDX-License-Identifier: GPL-2.0-only */
/* A request in a slot of the memory that the broker of shares has, too */
#ifndef __FUSE_HOSTSLOT_H
#define __FUSE_HOSTSLOT_H

struct fuse_args;
struct fuse_req;
struct shares_slot;

int hostslot_fill(struct shares_slot *slot, struct fuse_req *req);
int hostslot_take(struct shares_slot *slot, struct fuse_args *args);

#endif
