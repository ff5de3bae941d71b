// SPDX-License-Identifier: Apache-2.0
/*
 * A guest program on platform um that attacks what it shares its address
 * space with: it makes host system calls by jumping into its kernel's text,
 * and writes over its kernel's memory.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "shares.h"

#define OPCODES		52
#define KERNEL		0x10000000UL
#define KERNEL_SIZE	0x04000000UL

/* "syscall; test %rax,%rax; jz ..; pop %rbx; ret": the end of inproc_clone() */
static const unsigned char *find_jump(void)
{
	static const unsigned char wanted[] = { 0x0f, 0x05, 0x48, 0x85, 0xc0, 0x74 };
	const unsigned char *at = (void *)KERNEL;

	while (memcmp(at, wanted, sizeof(wanted)) || at[7] != 0x5b || at[8] != 0xc3)
		at++;
	return at;
}

static long host_call(const unsigned char *at, const long *args)
{
	register long r10 asm("r10") = args[4];
	register long r8 asm("r8") = args[5];
	register long r9 asm("r9") = args[6];
	long result;

	asm volatile("lea 1f(%%rip), %%rcx\n\t"
		     "push %%rcx\n\t"
		     "push %%rbx\n\t"
		     "jmp *%[at]\n"
		     "1:"
		     : "=a"(result)
		     : "0"(args[0]), "D"(args[1]), "S"(args[2]), "d"(args[3]), "r"(r10), "r"(r8),
		       "r"(r9), [at] "r"(at)
		     : "rcx", "r11", "rbx", "memory");
	return result;
}

static uint64_t state;

static uint64_t random_word(void)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return state;
}

static long random_argument(void)
{
	switch (random_word() % 6) {
	case 0:
		return (int)(random_word() % 64) - 4;
	case 1:
		return KERNEL + random_word() % KERNEL_SIZE;
	case 2:
		return (KERNEL + random_word() % KERNEL_SIZE) & ~4095UL;
	case 3:
		return (long)&state;
	case 4:
		return 1L << random_word() % 64;
	default:
		return (long)random_word();
	}
}

static void fuzz(const unsigned char *at, int count, char **numbers)
{
	long args[7];
	int i;

	for (;;) {
		args[0] = strtol(numbers[random_word() % count], NULL, 0);
		for (i = 1; i < 7; i++)
			args[i] = random_argument();
		host_call(at, args);
	}
}

static sigjmp_buf faulted;

static void on_fault(int sig)
{
	siglongjmp(faulted, sig);
}

static void scribble(void)
{
	int i;

	signal(SIGSEGV, on_fault);
	signal(SIGBUS, on_fault);
	for (i = 0; i < 1000000; i++)
		if (!sigsetjmp(faulted, 1))
			*(volatile uint64_t *)(KERNEL + random_word() % KERNEL_SIZE) = random_word();
}

static unsigned long random_size(unsigned long most)
{
	return random_word() % 32 ? random_word() % most : random_word();
}

/* Numbers of files and open files that there may be, among others */
static uint64_t random_id(void)
{
	return random_word() % 4 ? random_word() % 64 | (random_word() % 4) << 32 : random_word();
}

/* The rest of the kernel's memory is left alone: it is the broker that is asked for */
static uint64_t random_offset(struct shares_area *area)
{
	unsigned long at = (unsigned long)area - KERNEL;

	return random_word() % 16 ? at + random_word() % sizeof(*area) : random_word() | 1UL << 40;
}

static void fill(struct shares_area *area, struct shares_slot *slot)
{
	static const char * const names[] = { "f", "..", "a/b", "../../shares/0", "", "/etc" };
	unsigned int i;

	slot->share = random_size(3);
	slot->in_len = random_size(SHARES_INLINE);
	slot->out_room = random_size(SHARES_INLINE);
	slot->in_segments = random_size(4);
	slot->out_segments = random_size(4);
	slot->tell = random_word() % 4;
	slot->header.opcode = random_size(OPCODES);
	slot->header.nodeid = random_word() % 4 ? 1 : random_id();
	slot->header.uid = random_word() % 2;
	for (i = 0; i < SHARES_SEGMENTS; i++) {
		slot->segments[i].offset = random_offset(area);
		slot->segments[i].len = random_size(1 << 12);
	}
	for (i = 0; i < sizeof(slot->data); i += sizeof(uint64_t))
		*(uint64_t *)(slot->data + i) = random_word() % 2 ? random_id() : 0;
	/* Behind the structures of some operations, there is a name */
	i = random_word() % 10 * 8;
	strcpy(slot->data + i, names[random_word() % 6]);
}

/* Requests lie near the end of the kernel's memory: one that was just made shows where */
static struct shares_area *find_area(unsigned long end)
{
	static const char name[] = "a name that nothing has";
	unsigned long at = (end - sizeof(struct shares_area)) & ~4095UL;
	struct shares_area *area;
	int i;

	chdir("/v");
	access(name, F_OK);
	for (; at > KERNEL; at -= 4096)
		for (area = (void *)at, i = 0; i < SHARES_SLOTS; i++)
			if (area->slots[i].header.opcode == FUSE_LOOKUP &&
			    area->slots[i].header.len == sizeof(struct fuse_in_header) + sizeof(name) &&
			    area->slots[i].out_len == sizeof(struct fuse_entry_out))
				return area;
	exit(2);
}

/* Asks the broker of shares for anything, and changes that while it is read */
static void ask(struct shares_area *area, int count)
{
	volatile struct shares_slot *slot;
	int i, patience;
	char name[32];

	while (count--) {
		i = 2 + random_word() % (SHARES_SLOTS - 2);	/* the kernel takes the first */
		slot = &area->slots[i];
		if (slot->state == SHARES_FREE || slot->state == SHARES_ANSWERED) {
			fill(area, (void *)slot);
			area->order[area->asked % SHARES_SLOTS] = random_word() % 16 ? i : -1;
			slot->state = SHARES_ASKED;
			area->asked += random_word() % 64 ? 1 : random_word();
		}
		snprintf(name, sizeof(name), "wake %d", count);
		access(name, F_OK);
		for (patience = 0; slot->state != SHARES_ANSWERED && patience < 2000; patience++)
			slot->segments[patience % 4].offset = random_offset(area);
	}
}

int main(int argc, char **argv)
{
	const unsigned char *at = find_jump();
	long args[7] = { 0 };
	int i;

	if (argc > 2 && !strcmp(argv[1], "call")) {
		for (i = 2; i < argc && i < 9; i++)
			args[i - 2] = strtoul(argv[i], NULL, 0);
		printf("%ld\n", host_call(at, args));
		return 0;
	}
	if (argc > 2 && !strcmp(argv[1], "wait")) {
		args[0] = strtoul(argv[2], NULL, 0);	/* futex: FUTEX_WAIT, as long as it is 0 */
		args[1] = (long)&state;
		host_call(at, args);
	}
	if (argc > 2)
		state = strtoul(argv[2], NULL, 0) * 2654435761u + 1;
	if (argc > 3 && !strcmp(argv[1], "fuzz"))
		fuzz(at, argc - 3, argv + 3);
	if (argc > 2 && !strcmp(argv[1], "scribble"))
		scribble();
	if (argc > 4 && !strcmp(argv[1], "shares")) {
		ask(find_area(KERNEL + strtoul(argv[3], NULL, 0)), atoi(argv[4]));
		write(1, "asked\n", 6);
	}
	return 0;
}
