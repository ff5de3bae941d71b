// SPDX-License-Identifier: GPL-2.0-only
/*
 * A host process gets another address space. Children of a fork have most in
 * common with their sisters that have ended, so what the process has mapped
 * is compared with the new page tables: what is right stays, what the new one
 * has otherwise is replaced at once, as it will be needed where the last one
 * needed it, and all else goes.
 */
#include <linux/mm.h>
#include <linux/mm_inline.h>
#include <linux/userfaultfd_k.h>
#include <asm/tlbflush.h>
#include <as-layout.h>
#include <os.h>
#include <skas.h>
#include <inproc.h>
#include "sync.h"

/* One per virtual processor */
static struct inproc_kept before[INPROC_KEPT];

/* The page table entry of what is to be mapped there, made young; or NULL */
static pte_t *find_wanted(struct mm_struct *mm, unsigned long virt)
{
	pte_t *pte = virt_to_pte(mm, virt);

	if (!pte || !pte_present(*pte) || !pte_read(*pte))
		return NULL;
	*pte = pte_mkyoung(*pte);
	return pte;
}

static bool is_right(pte_t *pte, const struct inproc_kept *page)
{
	int prot = inproc_prot(*pte);
	unsigned long phys = pte_val(*pte) & PAGE_MASK;

	return prot == page->prot && inproc_phys(phys, page->virt, prot) == page->offset;
}

static bool is_text(const struct inproc_kept *page)
{
	return page->prot == (UM_PROT_READ | UM_PROT_EXEC);
}

/* Is it the same program, at the same place? Then stubs of its sites lead to the right ones. */
static bool is_same_text(struct mm_struct *mm, int count)
{
	int i;

	for (i = 0; i < count; i++) {
		pte_t *pte;

		if (!is_text(&before[i]))
			continue;
		pte = find_wanted(mm, before[i].virt);
		if (!pte || !is_right(pte, &before[i]))
			return false;
	}
	return true;
}

static int adopt_page(struct mm_struct *mm, const struct inproc_kept *page)
{
	pte_t *pte = find_wanted(mm, page->virt);

	if (!pte)
		return inproc_unmap(page->virt, PAGE_SIZE);
	if (!is_right(pte, page)) {
		pte_clear_bits(*pte, _PAGE_HOST_MAPPED);
		pte_set_bits(*pte, _PAGE_HOST_STALE);
		return inproc_sync_pte(pte, page->virt);
	}
	pte_clear_bits(*pte, _PAGE_HOST_STALE);
	pte_set_bits(*pte, _PAGE_HOST_MAPPED);
	*pte = pte_mkuptodate(*pte);
	return 0;
}

/*
 * How a page is to be faulted in: text, which a fork leaves to be faulted in
 * anew; and what the last address space has written to, which a fork shares
 * until it is written to. 0: not at all.
 */
static unsigned int expected_fault(const struct inproc_kept *page, const pte_t *pte,
				   const struct vm_area_struct *vma)
{
	bool is_there = pte && pte_present(*pte);

	if (is_text(page) && !is_there && !vma_is_anonymous(vma) && (vma->vm_flags & VM_EXEC))
		return FAULT_FLAG_INSTRUCTION;
	if ((page->prot & UM_PROT_WRITE) && is_there && !pte_write(*pte) &&
	    vma_is_cow_mapping(vma) && (vma->vm_flags & VM_WRITE) && !userfaultfd_armed(vma))
		return FAULT_FLAG_WRITE;
	return 0;
}

/**
 * inproc_expect() - faults in what the host process has mapped
 * @mm:	its new address space
 *
 * May sleep.
 */
void inproc_expect(struct mm_struct *mm)
{
	const struct inproc_host *host = mm->context.host;
	struct vm_area_struct *vma = NULL;
	int i;

	if (host->kept_count <= 0 || !mmap_read_trylock(mm))
		return;
	for (i = 0; i < host->kept_count; i++) {
		unsigned long virt = host->kept[i].virt;
		unsigned int how;

		if (!vma || virt < vma->vm_start || virt >= vma->vm_end)
			vma = find_vma(mm, virt);
		if (!vma || virt < vma->vm_start)
			continue;
		how = expected_fault(&host->kept[i], virt_to_pte(mm, virt), vma);
		if (how && (handle_mm_fault(vma, virt, FAULT_FLAG_USER | how, NULL) &
			    VM_FAULT_ERROR))
			break;
	}
	mmap_read_unlock(mm);
}

/**
 * inproc_adopt() - the host process that runs has mappings of another address
 *	space
 * @mm:	its new one
 */
void inproc_adopt(struct mm_struct *mm)
{
	struct inproc_host *host = mm->context.host;
	int i, ret = 0, count = host->kept_count;

	host->stale = 0;
	if (count < 0) {
		inproc_unmap_guest();
		return;
	}
	memcpy(before, host->kept, count * sizeof(before[0]));
	guard(spinlock_irqsave)(&mm->page_table_lock);
	if (!is_same_text(mm, count)) {
		inproc_unmap_guest();
		return;
	}
	for (i = 0; i < count && !ret; i++)
		ret = adopt_page(mm, &before[i]);
	if (inproc_flush() || ret)
		inproc_unmap_guest();
}
