// SPDX-License-Identifier: GPL-2.0-only
/*
 * What in-process mode does before the kernel runs: looks whether the
 * processor can, and moves the kernel's image into the memory file, so that
 * host processes share it.
 */
#include <cpuid.h>
#include <elf.h>
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <as-layout.h>
#include <init.h>
#include <kern_util.h>
#include <os.h>
#include <registers.h>
#include <inproc.h>
#include "raw.h"

#define HWCAP2_FSGSBASE		2
#define XSTATE_LEAF		0xd
#define XFEATURES_AMX		0x60000	/* need the host's permission; large */
#define XSAVE_HEADER_END	576
#define X87_CONTROL		0x37f
#define MXCSR			0x1f80
#define MXCSR_WORD		6	/* in units of 4 bytes */

int inproc_mode;
int inproc_memory_fd;
struct inproc_vcpu inproc_vcpu;
unsigned long inproc_xfeatures;

/* What assembly knows by number */
#define AT(type, member, offset) \
	_Static_assert(offsetof(struct type, member) == (offset), #member)

AT(inproc_vcpu, regs, VCPU_REGS);
AT(inproc_vcpu, stack, VCPU_STACK);
AT(inproc_vcpu, host_fs, VCPU_HOST_FS);
AT(inproc_vcpu, resume, VCPU_RESUME);
AT(inproc_vcpu, handover_sp, VCPU_HANDOVER_SP);
AT(inproc_vcpu, running, VCPU_RUNNING);
AT(inproc_vcpu, enabled, VCPU_ENABLED);
AT(inproc_vcpu, pending, VCPU_PENDING);
AT(inproc_vcpu, iret, VCPU_IRET);
AT(inproc_vcpu, target, VCPU_TARGET);
AT(uml_pt_regs, resume_ip, REGS_RESUME_IP);
AT(uml_pt_regs, resume, REGS_RESUME);

static int __init inproc_setup(char *line, int *add)
{
	*add = 0;
	inproc_mode = atoi(line);
	return 0;
}
__uml_setup("inproc=", inproc_setup,
"inproc=<0 or 1>\n"
"    1: system calls and faults are served in the process in which they\n"
"    happen. 0, the default: guest processes are traced.\n\n"
);

/* Sizes of the vector state, and the state that a new program begins with */
static void __init init_xstate(void)
{
	unsigned int eax, ebx, ecx, edx, i;

	asm volatile("xgetbv" : "=a" (eax), "=d" (edx) : "c" (0));
	inproc_xfeatures = (((unsigned long)edx << 32) | eax) & ~XFEATURES_AMX;

	host_fp_size = XSAVE_HEADER_END;
	for (i = 2; i < 63; i++) {
		if (!(inproc_xfeatures & (1UL << i)))
			continue;
		__cpuid_count(XSTATE_LEAF, i, eax, ebx, ecx, edx);
		if (ebx + eax > host_fp_size)
			host_fp_size = ebx + eax;
	}
	exec_fp_regs = calloc(1, host_fp_size);
	if (!exec_fp_regs) {
		os_warn("in-process mode: no memory for %lu bytes of registers\n", host_fp_size);
		exit(1);
	}
	*(unsigned short *)exec_fp_regs = X87_CONTROL;
	((unsigned int *)exec_fp_regs)[MXCSR_WORD] = MXCSR;

	exec_regs[HOST_CS] = 0x33;
	exec_regs[HOST_SS] = 0x2b;
	exec_regs[HOST_EFLAGS] = 0x202;
}

/**
 * inproc_checks() - ends with a message if this host cannot do it
 */
void __init inproc_checks(void)
{
	unsigned int eax, ebx, ecx, edx;

	__cpuid(1, eax, ebx, ecx, edx);
	if (!(ecx & bit_OSXSAVE)) {
		os_warn("in-process mode: this processor has no XSAVE\n");
		exit(1);
	}
	if (!(getauxval(AT_HWCAP2) & HWCAP2_FSGSBASE)) {
		os_warn("in-process mode: the processor or the host's kernel has no FSGSBASE\n");
		exit(1);
	}
	init_xstate();
}

/**
 * inproc_share() - moves part of the image into the memory file
 * @start:	first address
 * @end:	first address after it
 * @fd:		the file
 *
 * The stack that this runs on may be in there, so between the copy and the
 * mapping nothing may be written: that is one block of assembly.
 */
void inproc_share(unsigned long start, unsigned long end, int fd)
{
	unsigned long first = start & UM_KERN_PAGE_MASK;
	unsigned long len = ((end + UM_KERN_PAGE_SIZE - 1) & UM_KERN_PAGE_MASK) - first;
	void *copy, *to;
	long ret;

	register unsigned long r12 asm("r12");
	register unsigned long r13 asm("r13"), r9 asm("r9");
	register long r8 asm("r8");

	copy = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, first - uml_physmem);
	if (copy == MAP_FAILED)
		panic("in-process mode: failed to map %lu bytes of the memory file: %d\n", len,
		      errno);
	os_populate_memory(copy, len);

	to = copy;
	r12 = first;
	r13 = len;
	r9 = first - uml_physmem;
	r8 = fd;
	asm volatile("cld\n\t"
		     "mov %%r12, %%rsi\n\t"
		     "mov %%r13, %%rcx\n\t"
		     "rep movsb\n\t"
		     "mov %%r12, %%rdi\n\t"
		     "mov %%r13, %%rsi\n\t"
		     "mov %[prot], %%edx\n\t"
		     "mov %[flags], %%r10d\n\t"
		     "mov %[nr], %%eax\n\t"
		     "syscall"
		     : "=a" (ret), "+D" (to)
		     : "r" (r12), "r" (r13), "r" (r8), "r" (r9),
		       [prot] "i" (PROT_READ | PROT_WRITE | PROT_EXEC),
		       [flags] "i" (MAP_SHARED | MAP_FIXED | MAP_POPULATE), [nr] "i" (__NR_mmap)
		     : "rsi", "rcx", "rdx", "r10", "r11", "memory");
	if (ret < 0)
		panic("in-process mode: failed to map the image: %ld\n", ret);
	munmap(copy, len);
}

/**
 * inproc_share_image() - moves the image's data into the memory file
 * @fd:	the file
 *
 * Constants lie in a writable segment, since some are set while the kernel
 * starts. Those that are not stay pages of the kernel's file, of which the
 * host has one copy for all containers; nobody may write there any more.
 */
void inproc_share_image(int fd)
{
	const Elf64_Phdr *header = (void *)getauxval(AT_PHDR);
	unsigned long count = getauxval(AT_PHNUM);
	unsigned long constant = (unsigned long)__start_rodata;
	unsigned long set = (unsigned long)__start_ro_after_init & UM_KERN_PAGE_MASK;

	inproc_memory_fd = fd;
	for (; count--; header++) {
		unsigned long start = header->p_vaddr;
		unsigned long end = start + header->p_memsz;

		if (header->p_type != PT_LOAD || !(header->p_flags & PF_W))
			continue;
		if (start == constant && set < end) {
			mprotect((void *)start, set - start, PROT_READ);
			start = set;
		}
		inproc_share(start, end, fd);
	}
}
