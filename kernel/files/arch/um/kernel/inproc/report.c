// SPDX-License-Identifier: GPL-2.0-only
/*
 * Free memory goes back to the host: blocks that the page allocator reports
 * as free are punched out of the memory file. They come back, zeroed, when
 * they are touched.
 */
#include <linux/mm.h>
#include <linux/page_reporting.h>
#include <linux/scatterlist.h>
#include <inproc.h>

static int report(struct page_reporting_dev_info *device, struct scatterlist *blocks,
		  unsigned int count)
{
	struct scatterlist *block;
	unsigned int i;

	for_each_sg(blocks, block, count, i) {
		int err = inproc_give_back((unsigned long)sg_virt(block), block->length);

		if (err)
			return err;
	}
	return 0;
}

static struct page_reporting_dev_info device = {
	.report = report,
	.order = 7,	/* 512 KiB: seldom in pieces, and worth a host call */
};

static int __init report_init(void)
{
	return inproc_mode ? page_reporting_register(&device) : 0;
}
late_initcall(report_init);
