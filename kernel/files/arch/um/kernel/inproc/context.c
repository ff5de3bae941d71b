// SPDX-License-Identifier: GPL-2.0-only
/*
 * Address spaces: each has a host process. Where the guest may map, and what
 * goes back to the host when it is no longer used.
 */
#include <linux/mm.h>
#include <linux/mman.h>
#include <linux/module.h>
#include <linux/sched.h>
#include <linux/sched/mm.h>
#include <linux/workqueue.h>
#include <asm/sections.h>
#include <as-layout.h>
#include <mem_user.h>
#include <kern_util.h>
#include <inproc.h>

/* Host processes that wait for so long without being needed go */
#define TRIM_DELAY	(5 * HZ)
#define TRIM_KEEP	4

/* Hosts let nobody map the first 64 KiB (vm.mmap_min_addr) */
#define HOST_MIN_ADDR	0x10000

static void trim(struct work_struct *work);
static DECLARE_DELAYED_WORK(trim_work, trim);

static void trim(struct work_struct *work)
{
	if (inproc_hosts_trim(TRIM_KEEP) > 0)
		queue_delayed_work(system_dfl_wq, &trim_work, TRIM_DELAY);
}

int inproc_init_context(struct mm_struct *mm, int forks)
{
	unsigned long program = current->mm ? (unsigned long)current->mm->exe_file : 0;

	mm->context.id.pid = -1;
	mm->context.host = inproc_host_get(forks ? program : 0, program);
	return mm->context.host ? 0 : -ENOMEM;
}

void inproc_destroy_context(struct mm_struct *mm)
{
	if (!mm->context.host)
		return;
	inproc_host_put(mm->context.host);
	mm->context.host = NULL;
	queue_delayed_work(system_dfl_wq, &trim_work, TRIM_DELAY);
}

/**
 * inproc_share_data() - makes data and heap memory that host processes share
 * @brk_end:	end of the heap, which begins behind the image; the C library's
 *		memory lies there
 */
void __init inproc_share_data(unsigned long brk_end)
{
	unsigned long long offset;
	int fd = phys_mapping(__pa(uml_physmem), &offset);

	inproc_share_image(fd);
	if (PAGE_ALIGN((unsigned long)_end) < brk_end)
		inproc_share(PAGE_ALIGN((unsigned long)_end), brk_end, fd);
}

/**
 * inproc_vm_fault() - this host process lacks a mapping of kernel memory
 * @address:	in the range of vmalloc()
 */
void inproc_vm_fault(unsigned long address)
{
	pte_t *pte = virt_to_pte(&init_mm, address);

	if (!pte || !pte_present(*pte))
		panic("in-process mode: nothing is mapped at %lx", address);
	map_memory(address & PAGE_MASK, pte_val(*pte) & PAGE_MASK, PAGE_SIZE, 1, 1, 0);
}

/**
 * inproc_map_gate() - memory that all host processes have at the same address
 * @virt:	the address, in the gate
 * @len:	in bytes
 * @prot:	as the guest has it
 *
 * Only before the first host process is cloned.
 *
 * Returns: the memory, as the kernel has it. It is not cleared.
 */
void __init *inproc_map_gate(unsigned long virt, unsigned long len, int prot)
{
	void *memory = alloc_pages_exact(len, GFP_KERNEL);
	unsigned long long offset;
	int fd;

	if (!memory)
		panic("in-process mode: no memory for the gate");
	fd = phys_mapping(__pa(memory), &offset);
	inproc_map_shared(virt, len, prot, fd, offset);
	return memory;
}

/* The gate and the kernel lie in the guest's range of addresses */
static bool hits_kernel(unsigned long addr, unsigned long len)
{
	return addr < end_vm && addr + len > INPROC_GATE;
}

/* What the host would refuse is refused; a mere hint is forgotten */
static int check_range(unsigned long *addr, unsigned long len, unsigned long flags)
{
	if (!inproc_mode)
		return 0;
	if ((flags & MAP_FIXED) && *addr < HOST_MIN_ADDR)
		return -EPERM;
	if (!hits_kernel(*addr, len))
		return 0;
	*addr = 0;
	return flags & MAP_FIXED ? -ENOMEM : 0;
}

#define LOW_32BIT	0x40000000UL
#define HIGH_32BIT	0x80000000UL

/* MAP_32BIT. Above the kernel, where there is room; else below it. */
static unsigned long get_unmapped_32bit(unsigned long len)
{
	struct vm_unmapped_area_info info = {
		.length = len,
		.low_limit = LOW_32BIT,
		.high_limit = HIGH_32BIT,
	};
	unsigned long addr = -ENOMEM;

	if (inproc_mode && info.low_limit < end_vm)
		info.low_limit = end_vm;
	if (info.low_limit < info.high_limit)
		addr = vm_unmapped_area(&info);
	if (inproc_mode && IS_ERR_VALUE(addr)) {
		info.low_limit = HOST_MIN_ADDR;
		info.high_limit = INPROC_GATE;
		addr = vm_unmapped_area(&info);
	}
	return addr;
}

static bool wants_32bit(unsigned long flags)
{
	return (flags & MAP_32BIT) && !(flags & MAP_FIXED);
}

unsigned long arch_get_unmapped_area(struct file *filp, unsigned long addr, unsigned long len,
				     unsigned long pgoff, unsigned long flags,
				     vm_flags_t vm_flags)
{
	int err = check_range(&addr, len, flags);

	if (err)
		return err;
	if (wants_32bit(flags))
		return get_unmapped_32bit(len);
	return generic_get_unmapped_area(filp, addr, len, pgoff, flags,
					 legacy_to_vma_flags(vm_flags));
}

unsigned long arch_get_unmapped_area_topdown(struct file *filp, unsigned long addr,
					     unsigned long len, unsigned long pgoff,
					     unsigned long flags, vm_flags_t vm_flags)
{
	int err = check_range(&addr, len, flags);

	if (err)
		return err;
	if (wants_32bit(flags))
		return get_unmapped_32bit(len);
	return generic_get_unmapped_area_topdown(filp, addr, len, pgoff, flags,
						 legacy_to_vma_flags(vm_flags));
}
