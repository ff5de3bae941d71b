// SPDX-License-Identifier: GPL-2.0-only
/*
 * What a host process has mapped for the guest, page by page, as long as that
 * is little: so that the next address space that it stands for may keep what
 * it has in common with the last one.
 */
#include <kern_util.h>
#include <os.h>
#include <inproc.h>

static int is_within(const struct inproc_kept *page, unsigned long virt, unsigned long len)
{
	return page->virt - virt < len;
}

/**
 * inproc_kept_unmap() - pages were unmapped
 */
void inproc_kept_unmap(unsigned long virt, unsigned long len)
{
	struct inproc_host *host = inproc_vcpu.running;
	int i;

	for (i = 0; i < host->kept_count;) {
		if (is_within(&host->kept[i], virt, len))
			host->kept[i] = host->kept[--host->kept_count];
		else
			i++;
	}
}

/**
 * inproc_kept_protect() - the protection of pages was changed
 */
void inproc_kept_protect(unsigned long virt, unsigned long len, int prot)
{
	struct inproc_host *host = inproc_vcpu.running;
	int i;

	for (i = 0; i < host->kept_count; i++)
		if (is_within(&host->kept[i], virt, len))
			host->kept[i].prot = prot;
}

/**
 * inproc_kept_map() - pages were mapped
 */
void inproc_kept_map(unsigned long virt, unsigned long len, int prot, unsigned long offset)
{
	struct inproc_host *host = inproc_vcpu.running;
	unsigned long done;

	inproc_kept_unmap(virt, len);
	if (host->kept_count < 0)
		return;
	if (host->kept_count + len / UM_KERN_PAGE_SIZE > INPROC_KEPT) {
		host->kept_count = INPROC_KEPT_UNKNOWN;
		return;
	}
	for (done = 0; done < len; done += UM_KERN_PAGE_SIZE)
		host->kept[host->kept_count++] = (struct inproc_kept){
			.virt = virt + done, .offset = offset + done, .prot = prot,
		};
}

/**
 * inproc_kept_nothing() - all was unmapped
 */
void inproc_kept_nothing(void)
{
	inproc_vcpu.running->kept_count = 0;
}
