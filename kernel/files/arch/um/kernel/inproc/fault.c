// SPDX-License-Identifier: GPL-2.0-only
/*
 * Page faults of the guest: what its page tables allow already is mapped
 * again; who touches pages in sequence gets the next ones at once.
 */
#include <linux/mm.h>
#include <linux/mm_inline.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <asm/tlbflush.h>
#include <inproc.h>

#define WINDOW_MIN	16
#define WINDOW_MAX	128
#define AROUND		(16 * PAGE_SIZE)

static void want(unsigned long start, unsigned long end)
{
	inproc_wanted = start;
	inproc_wanted_end = end;
}

/* Maps a page at the next sync, if the page tables allow it and it is not mapped yet */
static void map_page(struct mm_struct *mm, pte_t *pte, unsigned long page)
{
	*pte = pte_mkyoung(pte_mkneedsync(*pte));
	pte_clear_bits(*pte, _PAGE_HOST_MAPPED);
	um_tlb_mark_sync(mm, page, page + PAGE_SIZE);
}

/*
 * The pages around that lie beside it in memory, too: all are mapped in one
 * call. After a fork these are the parent's, after an exec those of the file.
 */
static void map_around(struct mm_struct *mm, unsigned long page)
{
	unsigned long start = page & ~(AROUND - 1), at;
	pte_t *here, *pte;

	guard(spinlock_irqsave)(&mm->page_table_lock);
	here = virt_to_pte(mm, page);
	if (!here || !pte_present(*here))
		return;
	for (at = start, pte = here - ((page - start) >> PAGE_SHIFT); at < start + AROUND;
	     at += PAGE_SIZE, pte++) {
		if (!pte_present(*pte) || pte_needsync(*pte) || !pte_read(*pte) ||
		    pte_get_bits(*pte, _PAGE_HOST_MAPPED) ||
		    pte_pfn(*pte) - pte_pfn(*here) != (at - page) >> PAGE_SHIFT)
			continue;
		map_page(mm, pte, at);
	}
}

/**
 * inproc_refill() - maps a page that the page tables allow
 * @address:	that the guest wanted
 * @is_write:	to write
 * @is_exec:	to execute
 *
 * Mappings of the host process are a cache of the guest's page tables. They
 * are dropped when they become too many.
 *
 * Returns: 1 if the guest can go on.
 */
int inproc_refill(unsigned long address, int is_write, int is_exec)
{
	unsigned long page = address & PAGE_MASK;
	struct mm_struct *mm = current->mm;
	pte_t *pte;

	scoped_guard(spinlock_irqsave, &mm->page_table_lock) {
		pte = virt_to_pte(mm, address);
		if (!pte || !pte_present(*pte) || pte_needsync(*pte) || !pte_read(*pte))
			return 0;
		if (is_write && (!pte_write(*pte) || !pte_dirty(*pte)))
			return 0;
		if (is_exec && !pte_exec(*pte))
			return 0;
		map_page(mm, pte, page);
	}
	map_around(mm, page);
	want(page, page + PAGE_SIZE);
	return 1;
}

/* How many pages after this one may be touched next */
static unsigned long window(struct mm_struct *mm, unsigned long page)
{
	pte_t *before;

	if (page == mm->context.fault_next)
		return min(2 * mm->context.fault_window, WINDOW_MAX);
	before = page ? virt_to_pte(mm, page - PAGE_SIZE) : NULL;
	return before && pte_present(*before) ? WINDOW_MIN : 0;
}

/**
 * inproc_prefault() - faults in what is probably touched next
 * @address:	that was faulted in right now
 *
 * And has what was faulted in mapped at once. Each fault costs a signal of the
 * host, which costs more than the pages. Only for anonymous memory, and only
 * behind pages that are there.
 */
void inproc_prefault(unsigned long address)
{
	unsigned long page = address & PAGE_MASK, end, pages;
	struct mm_struct *mm = current->mm;
	struct vm_area_struct *vma;
	unsigned int flags = FAULT_FLAG_USER;

	want(page, page + PAGE_SIZE);
	map_around(mm, page);
	pages = window(mm, page);
	if (!pages || signal_pending(current) || !mmap_read_trylock(mm))
		return;
	vma = find_vma(mm, page);
	if (!vma || page < vma->vm_start || !vma_is_anonymous(vma) ||
	    !(vma->vm_flags & VM_WRITE) || userfaultfd_armed(vma))
		goto out;

	if (FAULT_WRITE(current->thread.regs.regs.faultinfo))
		flags |= FAULT_FLAG_WRITE;
	end = min(vma->vm_end, page + (pages + 1) * PAGE_SIZE);
	mm->context.fault_window = pages;
	for (page += PAGE_SIZE; page < end; page += PAGE_SIZE) {
		pte_t *pte = virt_to_pte(mm, page);
		vm_fault_t fault;

		if (pte && !pte_none(*pte))
			break;
		fault = handle_mm_fault(vma, page, flags, NULL);
		if (fault & VM_FAULT_ERROR)
			break;
	}
	mm->context.fault_next = page;
	want(address & PAGE_MASK, page);
out:
	mmap_read_unlock(mm);
}
