// SPDX-License-Identifier: GPL-2.0-only
/*
 * A request in a slot of the memory that the broker of shares has, too: its
 * arguments, where data is in memory, and the answer.
 */
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <as-layout.h>
#include <mem_user.h>
#include <os.h>
#include <shares.h>
#include "args.h"
#include "dev.h"
#include "fuse_dev_i.h"
#include "fuse_i.h"
#include "hostslot.h"

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

/**
 * hostslot_fill() - puts a request into a slot
 *
 * Returns: 0 or a negative error number.
 */
int hostslot_fill(struct shares_slot *slot, struct fuse_req *req)
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

/**
 * hostslot_take() - takes what the broker has answered to where FUSE wants it
 *
 * Returns: 0 or a negative error number, which may be the broker's.
 */
int hostslot_take(struct shares_slot *slot, struct fuse_args *args)
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
