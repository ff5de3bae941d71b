// SPDX-License-Identifier: GPL-2.0-only
/*
 * Tells the guest's vDSO how its clocks follow from the host's.
 */
#include <linux/init.h>
#include <linux/mm.h>
#include <linux/notifier.h>
#include <linux/pvclock_gtod.h>
#include <linux/timekeeper_internal.h>
#include <inproc.h>

static struct inproc_clock *page;

static void set_offset(struct inproc_offset *offset, s64 ns)
{
	s32 rest;

	offset->sec = div_s64_rem(ns, NSEC_PER_SEC, &rest);
	if (rest < 0) {
		rest += NSEC_PER_SEC;
		offset->sec--;
	}
	offset->nsec = rest;
}

/* The timekeeper has changed: the clock was set, or another tick is counted */
static int changed(struct notifier_block *block, unsigned long was_set, void *data)
{
	struct timekeeper *tk = data;
	struct tk_read_base *base = &tk->tkr_mono;
	s64 mono = base->base + (base->xtime_nsec >> base->shift) - base->cycle_last;

	page->sequence++;
	barrier();
	/* While it is slewed, only the kernel can tell the time */
	page->valid = base->mult == 1U << base->shift && !inproc_clock_calls;
	set_offset(&page->mono, mono);
	set_offset(&page->real, mono + tk->offs_real);
	barrier();
	page->sequence++;
	return NOTIFY_OK;
}

static struct notifier_block block = {
	.notifier_call = changed,
};

static void __init init_clock(void)
{
	void *gettime = inproc_mode ? inproc_find_gettime() : NULL;

	if (!gettime)
		return;
	page = inproc_map_gate(INPROC_CLOCK, PAGE_SIZE, UM_PROT_READ);
	memset(page, 0, PAGE_SIZE);
	page->gettime = gettime;
	pvclock_gtod_register_notifier(&block);
}

/**
 * inproc_set_clock() - tells a vDSO where to find the clock
 * @vdso:	the page; has INPROC_CLOCK_MAGIC in it
 * @readable:	it may read the clock: time is not that of a namespace
 */
void __init inproc_set_clock(unsigned long *vdso, int readable)
{
	unsigned int i;

	if (!page)
		init_clock();
	for (i = 0; i < PAGE_SIZE / sizeof(*vdso); i++)
		if (vdso[i] == INPROC_CLOCK_MAGIC)
			vdso[i] = page && readable ? INPROC_CLOCK : 0;
}
