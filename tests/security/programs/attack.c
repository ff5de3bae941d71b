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
	return 0;
}
