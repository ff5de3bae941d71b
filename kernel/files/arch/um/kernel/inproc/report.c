// SPDX-License-Identifier: GPL-2.0-only
/*
 * Free memory goes back to the host: blocks that the page allocator reports
 * as free are punched out of the memory file. They come back, zeroed, when
 * they are touched.
 *
 * So does most of what describes the largest of these blocks: 60 KiB of
 * struct page for each 4 MiB, which would be the greatest part of what an
 * idle container takes of its host. Only the first page's is looked at while
 * a block is free. The allocator tells when it takes a block that was
 * reported (page_reporting_taken()), before anything looks at the others.
 * Blocks of the largest order are never merged, so what is reported as one is
 * taken as one.
 */
#include <linux/mm.h>
#include <linux/page_reporting.h>
#include <linux/scatterlist.h>
#include <inproc.h>

static void forget_pages(struct page *page, unsigned int order)
{
	unsigned long start = PAGE_ALIGN((unsigned long)(page + 1));
	unsigned long end = (unsigned long)(page + (1UL << order)) & PAGE_MASK;

	if (order == MAX_PAGE_ORDER && start < end)
		inproc_give_back(start, end - start);
}

/**
 * page_reporting_taken() - a block that was reported is no longer free
 * @page:	its first page
 * @order:	of its size
 *
 * Makes the struct pages of all others as they are in a free block.
 */
void page_reporting_taken(struct page *page, unsigned int order)
{
	unsigned long pfn = page_to_pfn(page), i;

	if (order < MAX_PAGE_ORDER)
		return;
	for (i = 1; i < 1UL << order; i++) {
		memset(page + i, 0, sizeof(*page));
		set_page_links(page + i, page_zonenum(page), page_to_nid(page), pfn + i);
		atomic_set(&page[i]._mapcount, -1);
		INIT_LIST_HEAD(&page[i].lru);
	}
}

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
	/* Nothing fails any more: all of them are marked as reported. */
	for_each_sg(blocks, block, count, i)
		forget_pages(sg_page(block), get_order(block->length));
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
