// SPDX-License-Identifier: GPL-2.0-only
/*
 * Shadows: copies of pages of text with patched system call sites, which host
 * processes map in place of the pages. The pages, the guest's page tables and
 * all that is read through the kernel stay as they are, and whoever maps the
 * file shares the shadow.
 *
 * A copy may be freed when no page table has its page any more: a host process
 * that has it mapped still drops that before it runs its guest again, as with
 * any page.
 */
#include <linux/elf.h>
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/slab.h>
#include <linux/xarray.h>
#include "shadow.h"

/* How many new shadows there are between two searches for those to free */
#define SWEEP_EVERY 64

static DEFINE_XARRAY(shadows);
static LIST_HEAD(retired);
static unsigned int made;

/**
 * shadow_of() - the shadow of a page, or NULL
 */
struct shadow *shadow_of(struct page *page)
{
	if (!test_bit(PG_arch_1, &page->flags.f))
		return NULL;
	return xa_load(&shadows, page_to_pfn(page));
}

static void free_shadow(struct shadow *shadow)
{
	put_page(shadow->page);
	put_page(shadow->copy);
	kfree(shadow);
}

/**
 * shadow_retire() - from now on the page itself is mapped
 */
void shadow_retire(struct shadow *shadow)
{
	xa_erase(&shadows, page_to_pfn(shadow->page));
	clear_bit(PG_arch_1, &shadow->page->flags.f);
	list_add(&shadow->link, &retired);
}

/* Files that are gone shall not keep their pages */
static void sweep(void)
{
	struct shadow *shadow, *next;
	unsigned long pfn;

	xa_for_each(&shadows, pfn, shadow)
		if (shadow->page->mapping == NULL && shadow->may_change)
			shadow_retire(shadow);
	list_for_each_entry_safe(shadow, next, &retired, link) {
		unsigned int i;

		if (folio_mapped(page_folio(shadow->page)))
			continue;
		for (i = shadow->first; i; i = patched[i].next)
			patched[i].shadow = NULL;
		list_del(&shadow->link);
		free_shadow(shadow);
	}
}

/**
 * shadow_make() - a new shadow, without any patched site yet
 *
 * Returns: the shadow, or NULL: no memory.
 */
struct shadow *shadow_make(struct page *page, bool may_change)
{
	struct shadow *shadow;

	if (++made % SWEEP_EVERY == 0)
		sweep();
	shadow = kzalloc_obj(*shadow, GFP_KERNEL);
	if (!shadow)
		return NULL;
	shadow->copy = alloc_page(GFP_KERNEL);
	if (!shadow->copy)
		goto out_free;
	copy_page(page_address(shadow->copy), page_address(page));
	if (xa_err(xa_store(&shadows, page_to_pfn(page), shadow, GFP_KERNEL)))
		goto out_put;

	get_page(page);
	shadow->page = page;
	shadow->may_change = may_change;
	set_bit(PG_arch_1, &page->flags.f);
	return shadow;

out_put:
	put_page(shadow->copy);
out_free:
	kfree(shadow);
	return NULL;
}

/**
 * shadow_is_current() - is the page still what was copied?
 */
bool shadow_is_current(struct shadow *shadow)
{
	const u8 *page = page_address(shadow->page), *copy = page_address(shadow->copy);
	unsigned int at, i;

	if (!shadow->may_change)
		return true;
	for (at = 0; at < PAGE_SIZE; at++) {
		if (!(at % sizeof(long)) && *(long *)(page + at) == *(long *)(copy + at)) {
			at += sizeof(long) - 1;
			continue;
		}
		if (page[at] == copy[at])
			continue;
		for (i = shadow->first; i; i = patched[i].next)
			if (at - patched[i].site.start < PATCH_LEN)
				break;
		if (!i)
			return false;
	}
	return true;
}

static bool is_mapped_at(struct shadow *shadow, unsigned long virt)
{
	pte_t *pte = virt_to_pte(current->mm, virt);

	return pte && pte_present(*pte) && pte_page(*pte) == shadow->page;
}

/**
 * shadow_is_elsewhere() - is it mapped at another address of this space?
 *
 * Then its stubs lead back there, and it cannot be mapped here.
 */
bool shadow_is_elsewhere(struct shadow *shadow, unsigned long virt)
{
	unsigned long there = site_here(shadow->first)->ip & PAGE_MASK;

	return shadow->first && there && there != virt && is_mapped_at(shadow, there);
}

/**
 * shadow_place() - tells the stubs where their sites are in this address space
 */
void shadow_place(struct shadow *shadow, unsigned long virt)
{
	unsigned int i;

	for (i = shadow->first; i; i = patched[i].next) {
		struct site *site = &patched[i].site;
		unsigned long ip = virt + after_syscall(site);

		site_here(i)->ip = ip;
		site_here(i)->next = ip + site->moved;
	}
}

/**
 * shadow_find() - where is it mapped in this address space?
 *
 * Returns: the address, or 0.
 */
unsigned long shadow_find(struct shadow *shadow)
{
	struct mm_struct *mm = current->mm;
	struct address_space *mapping = shadow->page->mapping;
	unsigned long virt = 0, index = page_folio(shadow->page)->index +
					folio_page_idx(page_folio(shadow->page), shadow->page);
	struct vm_area_struct *vma;

	VMA_ITERATOR(vmi, mm, 0);

	mmap_read_lock(mm);
	for_each_vma(vmi, vma) {
		if (vma->vm_start == um_vdso_addr)
			virt = um_vdso_addr;
		else if (vma->vm_file && vma->vm_file->f_mapping == mapping &&
			 index >= vma->vm_pgoff &&
			 index - vma->vm_pgoff < vma_pages(vma))
			virt = vma->vm_start + ((index - vma->vm_pgoff) << PAGE_SHIFT);
		else
			continue;
		if (is_mapped_at(shadow, virt))
			break;
		virt = 0;
	}
	mmap_read_unlock(mm);
	return virt;
}
