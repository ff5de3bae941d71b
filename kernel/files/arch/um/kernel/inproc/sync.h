/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef __UM_INPROC_SYNC_H
#define __UM_INPROC_SYNC_H

#include <linux/mm.h>
#include <inproc.h>
#include <os.h>

/* How the host process maps what the page tables have like that; 0: not at all */
static inline int inproc_prot(pte_t pte)
{
	int prot = UM_PROT_READ;

	if (!pte_read(pte) || !pte_young(pte))
		return 0;
	if (pte_exec(pte))
		prot |= UM_PROT_EXEC;
	if (pte_write(pte) && pte_dirty(pte))
		prot |= UM_PROT_WRITE;
	return prot;
}

/* Which page it maps: where it can only be executed, one with patched sites */
static inline unsigned long inproc_phys(unsigned long phys, unsigned long virt, int prot)
{
	if ((prot & UM_PROT_EXEC) && !(prot & UM_PROT_WRITE))
		return inproc_shadow(phys, virt);
	return phys;
}

int inproc_sync_pte(pte_t *pte, unsigned long addr);

#endif
