// SPDX-License-Identifier: GPL-2.0-only
/*
 * The guest's memory as mappings of the host process that runs it.
 *
 * Changes come page by page, in the order of addresses; neighbours are merged
 * into one host system call. Errors that the host may report without anybody
 * being at fault (too many mappings) are answered by forgetting mappings: the
 * guest's page tables are the truth, and a fault on a page that they allow
 * maps it again.
 */
#include <errno.h>
#include <stddef.h>
#include <sys/mman.h>
#include <as-layout.h>
#include <kern_util.h>
#include <os.h>
#include <inproc.h>
#include "raw.h"

/* Fewer pages than that, which nobody asked for yet, are not worth a host call */
#define WORTH_A_CALL (4 * UM_KERN_PAGE_SIZE)

/* Of the 65 530 that hosts allow by default (vm.max_map_count); the kernel's own are others */
#define VMA_LIMIT 50000

enum operation { NOTHING, MAP, PROTECT, UNMAP };

static struct {
	enum operation operation;
	unsigned long virt;
	unsigned long len;
	unsigned long long offset;
	int prot;
	int fd;
	int fresh;
} batch;

/* What the guest touches now or probably next: that is mapped at once */
unsigned long inproc_wanted, inproc_wanted_end;

unsigned long inproc_vm_generation;
unsigned long inproc_vma_limit = VMA_LIMIT;

static long host_munmap(unsigned long start, unsigned long end)
{
	return start < end ? raw_syscall3(__NR_munmap, start, end - start, 0) : 0;
}

/* The guest may have a mapping above or below the kernel, never in it */
static int outside_kernel(unsigned long virt, unsigned long len)
{
	return virt + len <= INPROC_GATE || virt >= end_vm;
}

/**
 * inproc_unmap_guest() - forgets all of the guest's mappings in this process,
 *	and where patched sites were mapped
 */
void inproc_unmap_guest(void)
{
	host_munmap(0, INPROC_GATE);
	host_munmap(end_vm, task_size);
	raw_syscall3(__NR_madvise, INPROC_SITES, INPROC_SITES_END - INPROC_SITES, MADV_DONTNEED);
	inproc_vcpu.running->vmas = 0;
	inproc_kept_nothing();
}

/*
 * Pages where nothing is mapped, and that were made accessible by the way
 * (beside one that faulted, by a system call): a fault may ask for them.
 */
static int can_wait(void)
{
	return batch.fresh && batch.len < WORTH_A_CALL &&
	       (batch.virt >= inproc_wanted_end || batch.virt + batch.len <= inproc_wanted);
}

static long carry_out_map(void)
{
	struct inproc_host *host = inproc_vcpu.running;
	long ret;

	if (can_wait())
		return 0;
	if (host->vmas >= inproc_vma_limit)
		inproc_unmap_guest();
	host->vmas += batch.fresh ? 1 : 2;	/* it may split one */
	ret = raw_syscall6(__NR_mmap, batch.virt, batch.len, batch.prot,
			   MAP_SHARED | MAP_FIXED | MAP_POPULATE, batch.fd, batch.offset);
	if (ret == -ENOMEM) {
		inproc_unmap_guest();
		ret = raw_syscall6(__NR_mmap, batch.virt, batch.len, batch.prot,
				   MAP_SHARED | MAP_FIXED | MAP_POPULATE, batch.fd, batch.offset);
	}
	if (ret != (long)batch.virt)
		return ret;
	inproc_kept_map(batch.virt, batch.len, batch.prot, batch.offset);
	return 0;
}

static long carry_out_protect(void)
{
	long ret = raw_syscall3(__NR_mprotect, batch.virt, batch.len, batch.prot);

	inproc_vcpu.running->vmas += 2;
	if (!ret) {
		inproc_kept_protect(batch.virt, batch.len, batch.prot);
		return 0;
	}
	/* Not mapped, or too many mappings */
	inproc_kept_unmap(batch.virt, batch.len);
	if (host_munmap(batch.virt, batch.virt + batch.len))
		inproc_unmap_guest();
	return 0;
}

static long carry_out_unmap(void)
{
	unsigned long start = batch.virt, end = batch.virt + batch.len;
	long ret;

	inproc_kept_unmap(start, end - start);
	/* A range of page tables that were freed may span the kernel */
	if (outside_kernel(start, end - start)) {
		ret = host_munmap(start, end);
	} else {
		ret = host_munmap(start, INPROC_GATE);
		if (!ret)
			ret = host_munmap(start > end_vm ? start : end_vm, end);
	}
	if (ret)
		inproc_unmap_guest();
	return 0;
}

/**
 * inproc_flush() - carries out what was merged so far
 *
 * Returns: 0 or a negative error number.
 */
int inproc_flush(void)
{
	long ret = 0;

	switch (batch.operation) {
	case MAP:
		ret = carry_out_map();
		break;
	case PROTECT:
		ret = carry_out_protect();
		break;
	case UNMAP:
		ret = carry_out_unmap();
		break;
	case NOTHING:
		break;
	}
	batch.operation = NOTHING;
	return ret;
}

static int begin(enum operation operation, unsigned long virt, unsigned long len, int prot)
{
	int ret = inproc_flush();

	batch.operation = operation;
	batch.virt = virt;
	batch.len = len;
	batch.prot = prot;
	return ret;
}

static int follows(enum operation operation, unsigned long virt, int prot)
{
	return batch.operation == operation && batch.virt + batch.len == virt &&
	       batch.prot == prot;
}

/**
 * inproc_map() - maps part of the memory file for the guest
 * @fresh:	nothing is mapped there
 */
int inproc_map(unsigned long virt, unsigned long len, int prot, int fd, unsigned long long offset,
	       int fresh)
{
	int ret;

	if (!outside_kernel(virt, len))
		return -EFAULT;
	if (follows(MAP, virt, prot) && batch.offset + batch.len == offset) {
		batch.len += len;
		batch.fresh &= fresh;
		return 0;
	}
	ret = begin(MAP, virt, len, prot);
	batch.fresh = fresh;
	batch.fd = fd;
	batch.offset = offset;
	return ret;
}

/**
 * inproc_protect() - changes the permissions of what is mapped
 */
int inproc_protect(unsigned long virt, unsigned long len, int prot)
{
	if (!outside_kernel(virt, len))
		return -EFAULT;
	if (follows(PROTECT, virt, prot)) {
		batch.len += len;
		return 0;
	}
	return begin(PROTECT, virt, len, prot);
}

/**
 * inproc_unmap() - takes something from the guest
 */
int inproc_unmap(unsigned long virt, unsigned long len)
{
	if (follows(UNMAP, virt, 0)) {
		batch.len += len;
		return 0;
	}
	return begin(UNMAP, virt, len, 0);
}

/**
 * inproc_map_shared() - maps memory of the kernel into the gate, for good
 *
 * Only before the first host process is cloned: they inherit it.
 */
void inproc_map_shared(unsigned long virt, unsigned long len, int prot, int fd,
		       unsigned long long offset)
{
	long flags = MAP_FIXED | (fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_SHARED);
	long ret = raw_syscall6(__NR_mmap, virt, len, prot, flags, fd, offset);

	if (ret != (long)virt)
		panic("in-process mode: failed to map the gate at %lx: %ld\n", virt, ret);
}

/**
 * inproc_give_back() - returns free memory to the host
 * @virt:	where the kernel has it
 * @len:	in bytes
 *
 * Returns: 0 or a negative error number.
 */
int inproc_give_back(unsigned long virt, unsigned long len)
{
	return raw_syscall3(__NR_madvise, virt, len, MADV_REMOVE);
}

/**
 * inproc_vm_changed() - a mapping of the kernel's virtual memory has gone
 *
 * Other host processes may still have it; they drop all when they take over.
 */
void inproc_vm_changed(void)
{
	if (!inproc_mode)
		return;
	inproc_vm_generation++;
	inproc_vcpu.running->vm_generation = inproc_vm_generation;
}
