// SPDX-License-Identifier: GPL-2.0-only
/*
 * Patching of system call sites. The jumps name no address of the text, so a
 * shadow is right wherever it is mapped: they lead through a slot to a stub,
 * and the stub finds in a table of its host process (struct inproc_site) where
 * its site is in that address space. A site that was patched for another
 * address space since this one mapped the shadow is not in the table: the
 * stub's call arrives without an address, and it is looked up.
 */
#include <linux/elf.h>
#include <linux/mm.h>
#include <linux/pagemap.h>
#include <linux/proc_fs.h>
#include <linux/sched/signal.h>
#include <linux/seq_file.h>
#include <asm/tlbflush.h>
#include <as-layout.h>
#include <kern_util.h>
#include <mem_user.h>
#include <os.h>
#include <skas.h>
#include "shadow.h"

#define SIB_PLAIN	0x25
#define SIB_DETOUR	0xe5	/* as an instruction of its own: in, which traps */
#define STUB_DETOUR	19	/* where in a detour's stub the moved bytes begin */

struct patched *patched;
static unsigned long *slots;
static u8 *stubs;
static unsigned int used = 1;
static int enabled = 1;
static unsigned long trapped, refused, looked_up;

static u8 *put(u8 *to, const void *from, size_t len)
{
	memcpy(to, from, len);
	return to + len;
}

static u8 *put_jump(u8 *to, u8 *stub, unsigned int i, void (*target)(void))
{
	unsigned long here = INPROC_STUBS + i * INPROC_STUB_SIZE + (to - stub) + 5;
	s32 distance = (unsigned long)target - here;

	*to++ = 0xe9;				/* jmp target */
	return put(to, &distance, sizeof(distance));
}

static void write_stub(unsigned int i, const struct site *site, const u8 *page)
{
	u8 *stub = stubs + i * INPROC_STUB_SIZE, *to = stub;
	u32 table = (unsigned long)site_here(i);
	u32 go_on = INPROC_STUBS + i * INPROC_STUB_SIZE + STUB_DETOUR;

	if (site->kind == SITE_PLAIN) {
		*to++ = 0xb8;			/* mov $nr,%eax */
		to = put(to, &site->nr, sizeof(site->nr));
	}
	to = put(to, "\x48\x8b\x0c\x25", 4);	/* mov table.ip,%rcx */
	to = put(to, &table, sizeof(table));
	to = put(to, "\x41\xbb", 2);		/* mov $go_on,%r11d */
	to = put(to, &go_on, sizeof(go_on));
	if (site->kind == SITE_PLAIN) {
		put_jump(to, stub, i, inproc_entry);
	} else {
		to = put_jump(to, stub, i, inproc_entry_detour);
		to = put(to, page + after_syscall(site), site->moved);
		if (!site->returns) {
			table += offsetof(struct inproc_site, next);
			to = put(to, "\xff\x24\x25", 3);	/* jmp *table.next */
			put(to, &table, sizeof(table));
		}
	}
	slots[i] = INPROC_STUBS + i * INPROC_STUB_SIZE;
}

/* The jump. One virtual processor: nobody executes these bytes meanwhile. */
static void write_jump(unsigned int i, const struct site *site, u8 *copy)
{
	u32 slot = INPROC_SLOTS + i * sizeof(slots[0]);
	u8 *to = copy + site->start;

	*to++ = 0xff;
	*to++ = 0x24;
	*to++ = site->kind == SITE_PLAIN ? SIB_PLAIN : SIB_DETOUR;
	put(to, &slot, sizeof(slot));
}

/**
 * inproc_shadow() - what to map in place of a page
 * @phys:	the page
 * @virt:	where, in the host process that runs
 *
 * Returns: the physical address of its shadow, or @phys.
 */
unsigned long inproc_shadow(unsigned long phys, unsigned long virt)
{
	struct shadow *shadow = shadow_of(phys_to_page(phys));

	if (!shadow || shadow_is_elsewhere(shadow, virt))
		return phys;
	if (!shadow_is_current(shadow)) {
		shadow_retire(shadow);
		return phys;
	}
	shadow_place(shadow, virt);
	return page_to_phys(shadow->copy);
}

/*
 * Text that nobody can write to behind our back: of a file that is mapped
 * privately and not open for writing, or the vDSO.
 */
static bool is_constant(struct vm_area_struct *vma, struct page *page, bool *may_change)
{
	struct address_space *mapping;

	*may_change = false;
	if (!(vma->vm_flags & VM_EXEC) || (vma->vm_flags & (VM_WRITE | VM_SHARED)))
		return false;
	if (!vma->vm_file)
		return vma->vm_start == um_vdso_addr;

	mapping = vma->vm_file->f_mapping;
	*may_change = !sb_rdonly(mapping->host->i_sb);
	return page_folio(page)->mapping == mapping && !mapping_writably_mapped(mapping) &&
	       !inode_is_open_for_write(mapping->host);
}

static bool is_untouched(struct shadow *shadow, const struct site *site)
{
	return !memcmp(page_address(shadow->page) + site->start,
		       page_address(shadow->copy) + site->start, PATCH_LEN);
}

static bool is_patched(struct shadow *shadow, unsigned int syscall)
{
	unsigned int i;

	for (i = shadow->first; i; i = patched[i].next)
		if (after_syscall(&patched[i].site) == syscall + SYSCALL_LEN)
			return true;
	return false;
}

/* Returns the page's shadow with this site patched in it, or NULL */
static struct shadow *patch_page(struct page *page, unsigned int syscall, u32 nr, bool may_change)
{
	struct shadow *shadow = shadow_of(page);
	struct site site = { };

	if (shadow && !shadow_is_current(shadow)) {
		shadow_retire(shadow);
		shadow = NULL;
	}
	if (shadow && is_patched(shadow, syscall))
		return shadow;
	if (used >= INPROC_SITE_COUNT || !site_find(page_address(page), syscall, nr, &site))
		return NULL;
	if (!shadow)
		shadow = shadow_make(page, may_change);
	if (!shadow || !is_untouched(shadow, &site))
		return NULL;

	patched[used].site = site;
	patched[used].shadow = shadow;
	patched[used].next = shadow->first;
	shadow->first = used;
	write_stub(used, &site, page_address(page));
	write_jump(used, &site, page_address(shadow->copy));
	used++;
	return shadow;
}

/**
 * inproc_patch_site() - a system call has trapped: the next one shall not
 * @regs:	of the task; the instruction pointer is behind the call
 */
void inproc_patch_site(struct uml_pt_regs *regs)
{
	unsigned long syscall = UPT_IP(regs) - SYSCALL_LEN, virt = syscall & PAGE_MASK;
	struct mm_struct *mm = current->mm;
	struct vm_area_struct *vma;
	struct shadow *shadow = NULL;
	struct page *page;
	bool may_change;
	pte_t *pte;

	trapped++;
	if (!enabled || offset_in_page(syscall) > PAGE_SIZE - SYSCALL_LEN ||
	    !mmap_read_trylock(mm))
		return;
	vma = vma_lookup(mm, syscall);
	pte = virt_to_pte(mm, virt);
	if (vma && pte && pte_present(*pte) && !pte_needsync(*pte)) {
		page = pte_page(*pte);
		if (is_constant(vma, page, &may_change))
			shadow = patch_page(page, offset_in_page(syscall), UPT_AX(regs),
					    may_change);
	}
	if (!shadow) {
		refused++;
	} else if (!shadow_is_elsewhere(shadow, virt)) {
		/* Map it anew; most often another page of text than the last one */
		*pte = pte_mkneedsync(*pte);
		pte_clear_bits(*pte, _PAGE_HOST_MAPPED);
		pte_set_bits(*pte, _PAGE_HOST_STALE);
		um_tlb_mark_sync(mm, virt, virt + PAGE_SIZE);
	}
	mmap_read_unlock(mm);
}

/* Where is this site in the current address space? 0: nowhere */
static unsigned long look_up(unsigned int i)
{
	unsigned long virt;

	if (site_here(i)->ip)
		return site_here(i)->ip;
	virt = patched[i].shadow ? shadow_find(patched[i].shadow) : 0;
	if (!virt)
		return 0;
	looked_up++;
	shadow_place(patched[i].shadow, virt);
	return site_here(i)->ip;
}

/**
 * inproc_look_up() - a system call has come from a stub that knows no address
 * @regs:	get the address; or the task gets a signal
 *
 * Returns: 1 if it is a system call.
 */
int inproc_look_up(struct uml_pt_regs *regs)
{
	unsigned int i = (regs->resume - INPROC_STUBS) / INPROC_STUB_SIZE;
	unsigned long ip = i < used ? look_up(i) : 0;

	if (!ip) {
		force_fatal_sig(SIGSEGV);
		return 0;
	}
	if (patched[i].site.kind == SITE_PLAIN)
		regs->resume = ip;
	regs->resume_ip = ip;
	UPT_IP(regs) = ip;
	return 1;
}

/* The task is in a stub: where would it be, had nothing been patched? */
static int leave_stub(struct uml_pt_regs *regs)
{
	unsigned int i = (UPT_IP(regs) - INPROC_STUBS) / INPROC_STUB_SIZE;
	unsigned int at = (UPT_IP(regs) - INPROC_STUBS) % INPROC_STUB_SIZE;
	struct site *site = &patched[i].site;
	unsigned long ip;

	if (!i || i >= used)
		return INPROC_SIGNAL;
	ip = look_up(i);
	if (!ip)
		return INPROC_SIGNAL;

	if (site->kind == SITE_DETOUR && at >= STUB_DETOUR) {
		UPT_IP(regs) = ip + min_t(unsigned int, at - STUB_DETOUR, site->moved);
		return INPROC_SIGNAL;
	}
	if (site->kind == SITE_PLAIN)
		UPT_AX(regs) = site->nr;
	UPT_IP(regs) = ip;
	return INPROC_SYSCALL;
}

/* The task is in the middle of a jump. INPROC_ABORT: it goes on in the stub. */
static int leave_jump(struct uml_pt_regs *regs)
{
	unsigned long ip = UPT_IP(regs);
	struct shadow *shadow;
	pte_t *pte = virt_to_pte(current->mm, ip);
	unsigned int i;

	if (!pte || !pte_present(*pte))
		return INPROC_SIGNAL;
	shadow = shadow_of(pte_page(*pte));
	if (!shadow)
		return INPROC_SIGNAL;

	for (i = shadow->first; i; i = patched[i].next) {
		struct site *site = &patched[i].site;
		unsigned int at = offset_in_page(ip) - site->start;

		if (at >= PATCH_LEN)
			continue;
		if (site->kind == SITE_PLAIN && at == PATCH_LEN - SYSCALL_LEN) {
			UPT_IP(regs) += SYSCALL_LEN;
			return INPROC_SYSCALL;
		}
		if (site->kind == SITE_DETOUR && at >= SYSCALL_LEN) {
			regs->resume_ip = ip;
			regs->resume = INPROC_STUBS + i * INPROC_STUB_SIZE + STUB_DETOUR +
				       at - SYSCALL_LEN;
			return INPROC_ABORT;
		}
	}
	return INPROC_SIGNAL;
}

/**
 * inproc_fixup() - a signal found the task in patched code
 * @regs:	made as if nothing were patched
 * @sig:	the signal
 *
 * Returns: INPROC_SIGNAL: handle the signal. INPROC_SYSCALL: it is a system
 * call. INPROC_ABORT: nothing has happened, it may go on.
 */
int inproc_fixup(struct uml_pt_regs *regs, int sig)
{
	unsigned long ip = UPT_IP(regs);

	if (ip >= INPROC_STUBS && ip < INPROC_STUBS + INPROC_SITE_COUNT * INPROC_STUB_SIZE)
		return leave_stub(regs);
	if (sig == SIGILL || (sig == SIGSEGV && !SEGV_IS_FIXABLE(&regs->faultinfo)))
		return leave_jump(regs);
	return INPROC_SIGNAL;
}

/**
 * inproc_target() - where to enter user mode
 *
 * A patched system call goes on in its stub. A child of fork() may not: its
 * host process has not mapped the site yet, so the stub would not know the
 * way back.
 */
unsigned long inproc_target(struct uml_pt_regs *regs)
{
	unsigned long ip = UPT_IP(regs), into;
	unsigned int i;

	if (ip != regs->resume_ip || regs->resume == ip)
		return ip;
	i = (regs->resume - INPROC_STUBS) / INPROC_STUB_SIZE;
	into = ip - site_here(i)->ip;
	return into < patched[i].site.moved ? regs->resume : ip;
}

static int __init patch_setup(char *value)
{
	return kstrtoint(value, 0, &enabled);
}
early_param("inproc_patch", patch_setup);

static int patch_show(struct seq_file *file, void *unused)
{
	seq_printf(file, "sites %u\ncalls %lu\ntrapped %lu\nrefused %lu\nlooked_up %lu\n", used - 1,
		   inproc_vcpu.calls, trapped, refused, looked_up);
	return 0;
}

static int __init patch_init(void)
{
	if (!inproc_mode)
		return 0;
	slots = inproc_map_gate(INPROC_SLOTS, INPROC_SITE_COUNT * sizeof(*slots), UM_PROT_READ);
	stubs = inproc_map_gate(INPROC_STUBS, INPROC_SITE_COUNT * INPROC_STUB_SIZE,
			 UM_PROT_READ | UM_PROT_EXEC);
	inproc_map_shared(INPROC_SITES, INPROC_SITES_END - INPROC_SITES,
			  UM_PROT_READ | UM_PROT_WRITE, -1, 0);
	patched = alloc_pages_exact(INPROC_SITE_COUNT * sizeof(*patched), GFP_KERNEL);
	if (!patched)
		panic("in-process mode: no memory for sites");
	proc_create_single("inproc", 0444, NULL, patch_show);
	return 0;
}
core_initcall(patch_init);
