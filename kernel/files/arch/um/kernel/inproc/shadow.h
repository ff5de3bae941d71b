/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef __INPROC_SHADOW_H
#define __INPROC_SHADOW_H

#include <linux/mm_types.h>
#include <inproc.h>
#include "site.h"

/*
 * A page of text and its copy with jumps in it; holds references to both.
 *
 * @page: the page, as the guest's page tables have it
 * @copy: what host processes map
 * @first: the first of its patched sites; 0: none
 * @may_change: the page is of a file that can be written
 * @link: in the list of those that no longer count but may still be mapped
 */
struct shadow {
	struct page *page;
	struct page *copy;
	u16 first;
	bool may_change;
	struct list_head link;
};

/*
 * A site that is patched. Its index is the number of its slot, of its stub
 * and of its place in a host process' table.
 */
struct patched {
	struct site site;
	u16 next;		/* on the same page; 0: none */
	struct shadow *shadow;
};

static inline struct inproc_site *site_here(unsigned int i)
{
	return (struct inproc_site *)INPROC_SITES + i;
}

static inline unsigned int after_syscall(const struct site *site)
{
	return site->start + (site->kind == SITE_PLAIN ? PATCH_LEN : SYSCALL_LEN);
}

extern struct patched *patched;

struct shadow *shadow_of(struct page *page);
struct shadow *shadow_make(struct page *page, bool may_change);
void shadow_retire(struct shadow *shadow);
bool shadow_is_current(struct shadow *shadow);
bool shadow_is_elsewhere(struct shadow *shadow, unsigned long virt);
void shadow_place(struct shadow *shadow, unsigned long virt);
unsigned long shadow_find(struct shadow *shadow);

#endif
