// SPDX-License-Identifier: GPL-2.0-only
/*
 * The clock_gettime() of the host's vDSO. Host processes are clones of the
 * first, so it is at the same address in all of them, above what the guest may
 * map.
 */
#include <elf.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/prctl.h>
#include <time.h>
#include <asm/unistd.h>
#include <init.h>
#include <inproc.h>
#include "raw.h"

#define NAME "__vdso_clock_gettime"

/* It makes a system call, as the host has no clock that it could read */
int inproc_clock_calls;

static int (*gettime)(int clock, void *timespec);

static const void *find_dynamic(const char *base, Elf64_Sxword tag)
{
	const Elf64_Ehdr *header = (const void *)base;
	const Elf64_Phdr *segment = (const void *)(base + header->e_phoff);
	const Elf64_Dyn *entry = NULL;
	unsigned long bias = 0;
	int i;

	for (i = 0; i < header->e_phnum; i++) {
		if (segment[i].p_type == PT_LOAD)
			bias = (unsigned long)base + segment[i].p_offset - segment[i].p_vaddr;
		else if (segment[i].p_type == PT_DYNAMIC)
			entry = (const void *)(base + segment[i].p_offset);
	}
	for (; entry && entry->d_tag != DT_NULL; entry++)
		if (entry->d_tag == tag)
			return (const void *)(bias + entry->d_un.d_ptr);
	return NULL;
}

/**
 * inproc_find_gettime() - looks for clock_gettime() in the host's vDSO
 *
 * Returns: the function, or NULL.
 */
void *inproc_find_gettime(void)
{
	const char *base = (const char *)getauxval(AT_SYSINFO_EHDR);
	const Elf64_Sym *symbols;
	const Elf64_Word *hash;
	const char *names;
	unsigned int i;

	if (!base)
		return NULL;
	symbols = find_dynamic(base, DT_SYMTAB);
	names = find_dynamic(base, DT_STRTAB);
	hash = find_dynamic(base, DT_HASH);
	if (!symbols || !names || !hash)
		return NULL;
	for (i = 0; i < hash[1]; i++) {
		if (strcmp(names + symbols[i].st_name, NAME))
			continue;
		/* Addresses within a vDSO count from its beginning */
		gettime = (void *)(base + symbols[i].st_value);
		return gettime;
	}
	return NULL;
}

static void trap_calls(int mode, unsigned long start, unsigned long len)
{
	if (raw_syscall6(__NR_prctl, PR_SET_SYSCALL_USER_DISPATCH, mode, start, len, 0, 0))
		inproc_end("failed to turn on syscall user dispatch");
}

/**
 * inproc_try_clock() - reads the clock, to learn whether that is a system call
 *
 * Such a call comes from outside of the kernel, so it traps; the handler notes
 * it.
 */
void inproc_try_clock(void)
{
	struct timespec ts;

	if (!gettime)
		return;
	trap_calls(PR_SYS_DISPATCH_ON, (unsigned long)_text, _etext - _text);
	gettime(CLOCK_MONOTONIC, &ts);
	trap_calls(PR_SYS_DISPATCH_OFF, 0, 0);
}
