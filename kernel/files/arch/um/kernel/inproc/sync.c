// SPDX-License-Identifier: GPL-2.0-only
/*
 * From the guest's page tables to mappings of the host process, right before
 * the return to user mode. The host process of the address space is the one
 * that runs.
 */
#include <linux/mm.h>
#include <asm/tlbflush.h>
#include <as-layout.h>
#include <os.h>
#include <skas.h>
#include <inproc.h>
#include "sync.h"

/**
 * inproc_sync_pte() - carries out the change of one entry
 */
int inproc_sync_pte(pte_t *pte, unsigned long addr)
{
	unsigned long phys = pte_val(*pte) & PAGE_MASK;
	int prot, fd, ret = 0;
	__u64 offset;

	if (!pte_present(*pte)) {
		ret = inproc_unmap(addr, PAGE_SIZE);
		*pte = pte_mkuptodate(*pte);
		return ret;
	}

	prot = inproc_prot(*pte);
	if (!prot) {
		/* Nothing to be seen here: that needs no mapping */
		if (pte_get_bits(*pte, _PAGE_HOST_MAPPED | _PAGE_HOST_STALE))
			ret = inproc_unmap(addr, PAGE_SIZE);
		pte_clear_bits(*pte, _PAGE_HOST_MAPPED | _PAGE_HOST_STALE);
	} else if (pte_get_bits(*pte, _PAGE_HOST_MAPPED)) {
		ret = inproc_protect(addr, PAGE_SIZE, prot);
	} else {
		fd = phys_mapping(inproc_phys(phys, addr, prot), &offset);
		ret = inproc_map(addr, PAGE_SIZE, prot, fd, offset,
				 !pte_get_bits(*pte, _PAGE_HOST_STALE));
		pte_clear_bits(*pte, _PAGE_HOST_STALE);
		pte_set_bits(*pte, _PAGE_HOST_MAPPED);
	}
	*pte = pte_mkuptodate(*pte);
	return ret;
}

static int sync_ptes(pmd_t *pmd, unsigned long addr, unsigned long end)
{
	pte_t *pte = pte_offset_kernel(pmd, addr);
	int ret = 0;

	for (; addr < end && !ret; pte++, addr += PAGE_SIZE)
		if (pte_needsync(*pte))
			ret = inproc_sync_pte(pte, addr);
	return ret;
}

/* Of a table that was freed all goes: other parts of it may be in other ranges */
#define SYNC_LEVEL(name, lower, entry, size, table, first)			\
static int name(table * parent, unsigned long addr, unsigned long end)		\
{										\
	entry##_t * e = first(parent, addr);					\
	unsigned long next;							\
	int ret = 0;								\
										\
	for (; addr < end && !ret; e++, addr = next) {				\
		next = entry##_addr_end(addr, end);				\
		if (entry##_present(*e)) {					\
			ret = lower(e, addr, next);				\
		} else if (entry##_needsync(*e)) {				\
			ret = inproc_unmap(addr & ~(size - 1), size);		\
			entry##_mkuptodate(*e);					\
		}								\
	}									\
	return ret;								\
}

SYNC_LEVEL(sync_pmds, sync_ptes, pmd, PMD_SIZE, pud_t, pmd_offset)
SYNC_LEVEL(sync_puds, sync_pmds, pud, PUD_SIZE, p4d_t, pud_offset)
SYNC_LEVEL(sync_p4ds, sync_puds, p4d, P4D_SIZE, pgd_t, p4d_offset)

/**
 * inproc_sync() - carries out a range of changes of the guest's page tables
 *
 * Called with the locks of um_tlb_sync().
 *
 * Returns: 0 or a negative error number.
 */
int inproc_sync(struct mm_struct *mm, unsigned long addr, unsigned long end)
{
	pgd_t *pgd = pgd_offset(mm, addr);
	unsigned long next;
	int ret = 0, flushed;

	for (; addr < end && !ret; pgd++, addr = next) {
		next = pgd_addr_end(addr, end);
		if (pgd_present(*pgd)) {
			ret = sync_p4ds(pgd, addr, next);
		} else if (pgd_needsync(*pgd)) {
			ret = inproc_unmap(addr & PGDIR_MASK, PGDIR_SIZE);
			pgd_mkuptodate(*pgd);
		}
	}
	flushed = inproc_flush();
	return ret ? ret : flushed;
}
