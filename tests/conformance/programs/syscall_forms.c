// SPDX-License-Identifier: Apache-2.0
/*
 * The syscall instruction in every form of code: how the number gets into rax, what is around the
 * instruction, where the code lies, and how it comes and goes.
 *
 * Code is written as bytes. Every function made here is "long f(long, long, long)".
 */
#define _GNU_SOURCE
#include "check.h"

#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <sys/mman.h>
#include <sys/ucontext.h>

#define PAGE 4096

typedef long function_fn(long first, long second, long third);

struct code {
	unsigned char *at;
	size_t length;
};

static void put(struct code *code, const void *bytes, size_t length)
{
	memcpy(code->at + code->length, bytes, length);
	code->length += length;
}

#define PUT(code, ...)							\
	do {								\
		static const unsigned char bytes_[] = { __VA_ARGS__ };	\
		put(code, bytes_, sizeof(bytes_));			\
	} while (0)

static void put32(struct code *code, uint32_t value)
{
	put(code, &value, 4);
}

static void put64(struct code *code, uint64_t value)
{
	put(code, &value, 8);
}

/* --- How the number gets into rax --- */

static void load_mov_eax(struct code *code, int number)
{
	PUT(code, 0xb8);
	put32(code, number);
}

static void load_mov_rax(struct code *code, int number)
{
	PUT(code, 0x48, 0xc7, 0xc0);
	put32(code, number);
}

static void load_movabs(struct code *code, int number)
{
	PUT(code, 0x48, 0xb8);
	put64(code, number);
}

static void load_movabs_with_junk_above(struct code *code, int number)
{
	PUT(code, 0x48, 0xb8);
	put64(code, 0xdead123400000000 | (unsigned int)number);
}

static void load_xor_mov_al(struct code *code, int number)
{
	PUT(code, 0x31, 0xc0, 0xb0);
	put(code, &number, 1);
}

static void load_push_pop(struct code *code, int number)
{
	PUT(code, 0x6a);
	put(code, &number, 1);
	PUT(code, 0x58);
}

static void load_memory(struct code *code, int number)
{
	/* mov eax, [rip + 2]; jmp over it */
	PUT(code, 0x8b, 0x05, 2, 0, 0, 0, 0xeb, 4);
	put32(code, number);
}

static void load_register(struct code *code, int number)
{
	PUT(code, 0xb9);
	put32(code, number);
	PUT(code, 0x89, 0xc8);
}

static void load_wide_register(struct code *code, int number)
{
	PUT(code, 0x41, 0xb8);
	put32(code, number);
	PUT(code, 0x4c, 0x89, 0xc0);
}

static void load_lea(struct code *code, int number)
{
	PUT(code, 0x48, 0x8d, 0x04, 0x25);
	put32(code, number);
}

static void load_xor_or(struct code *code, int number)
{
	PUT(code, 0x31, 0xc0, 0x0d);
	put32(code, number);
}

static void load_mov_nop(struct code *code, int number)
{
	load_mov_eax(code, number);
	PUT(code, 0x90);
}

static void load_mov_long_nop(struct code *code, int number)
{
	load_mov_eax(code, number);
	PUT(code, 0x0f, 0x1f, 0x44, 0x00, 0x00);
}

static void load_mov_other_mov(struct code *code, int number)
{
	load_mov_eax(code, number);
	PUT(code, 0x49, 0x89, 0xca); /* mov r10, rcx: as the C library does */
}

static void load_short_jump(struct code *code, int number)
{
	load_mov_eax(code, number);
	PUT(code, 0xeb, 0x00);
}

static void load_call(struct code *code, int number)
{
	/* call 1f; jmp 2f; 1: mov eax, number; ret; 2: */
	PUT(code, 0xe8, 2, 0, 0, 0, 0xeb, 6, 0xb8);
	put32(code, number);
	PUT(code, 0xc3);
}

static const struct load {
	const char *name;
	void (*put)(struct code *code, int number);
} loads[] = {
	{ "mov eax", load_mov_eax },
	{ "mov rax", load_mov_rax },
	{ "movabs", load_movabs },
	{ "xor eax; mov al", load_xor_mov_al },
	{ "push; pop", load_push_pop },
	{ "from memory", load_memory },
	{ "from ecx", load_register },
	{ "from r8", load_wide_register },
	{ "lea", load_lea },
	{ "xor; or", load_xor_or },
	{ "mov; nop", load_mov_nop },
	{ "mov; long nop", load_mov_long_nop },
	{ "mov; mov r10", load_mov_other_mov },
	{ "mov; jmp", load_short_jump },
	{ "call", load_call },
};

#define LOADS (sizeof(loads) / sizeof(*loads))

/* Not among the others: only the lower half of rax is the number. */
static const struct load junk_above = { "junk above 32 bits", load_movabs_with_junk_above };

static void put_syscall(struct code *code)
{
	PUT(code, 0x0f, 0x05);
}

static void put_return(struct code *code)
{
	PUT(code, 0xc3);
}

static void *map(size_t length, int protection)
{
	void *found = mmap(NULL, length, protection, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	CHECK(found != MAP_FAILED);
	return found;
}

static struct code rwx(void)
{
	return (struct code){ map(PAGE, PROT_READ | PROT_WRITE | PROT_EXEC), 0 };
}

static function_fn *as_function(void *at)
{
	return (function_fn *)at;
}

/* Writes "load; syscall; ret" at the end of some code; returns it as a function. */
static function_fn *put_call(struct code *code, const struct load *load, int number)
{
	void *begin = code->at + code->length;

	load->put(code, number);
	put_syscall(code);
	put_return(code);
	return as_function(begin);
}

static function_fn *put_constant(struct code *code, int value)
{
	void *begin = code->at + code->length;

	load_mov_eax(code, value);
	put_return(code);
	return as_function(begin);
}

static void check_getpid(function_fn *call, const char *name)
{
	long found = call(0, 0, 0);

	if (found != getpid())
		fail("%s: %ld, not %d", name, found, getpid());
}

CASE(numbers_from_anywhere)
{
	size_t i;
	int round;

	for (i = 0; i < LOADS; i++) {
		struct code code = rwx();
		function_fn *pid = put_call(&code, &loads[i], SYS_getpid);
		function_fn *close_it = put_call(&code, &loads[i], SYS_close);
		function_fn *constant = put_constant(&code, 77);

		for (round = 0; round < 200; round++) {
			check_getpid(pid, loads[i].name);
			CHECK_EQ(close_it(-1, 0, 0), -EBADF);
			CHECK_EQ(constant(0, 0, 0), 77);
		}
	}
}

CASE(numbers_with_junk_above)
{
	struct code code = rwx();
	function_fn *pid = put_call(&code, &junk_above, SYS_getpid);
	int i;

	for (i = 0; i < 100; i++)
		check_getpid(pid, junk_above.name);
}

CASE(six_arguments)
{
	/* mov r10, rcx; mov eax, SYS_mmap; syscall; ret: the kernel's fourth is in r10. */
	struct code code = rwx();
	long (*call)(long, long, long, long, long, long);
	char *found;
	int fd = memfd_create("six", 0);

	CHECK(!ftruncate(fd, 2 * PAGE));
	CHECK_EQ(pwrite(fd, "page 1", 6, PAGE), 6);
	PUT(&code, 0x49, 0x89, 0xca);
	load_mov_eax(&code, SYS_mmap);
	put_syscall(&code);
	put_return(&code);
	call = (void *)code.at;
	found = (char *)call(0, PAGE, PROT_READ, MAP_SHARED, fd, PAGE);
	CHECK((long)found > 0);
	CHECK(!memcmp(found, "page 1", 6));
}

CASE(numbers_that_there_are_not)
{
	static const unsigned long numbers[] = {
		387, 400, 511, 512, 547, 1000, 0xffff, 0x7fffffff, 0xffffffff, 0x80000000,
		0xffffffffffffffff, 0xffffffff00000200,
	};
	size_t i;

	for (i = 0; i < sizeof(numbers) / sizeof(*numbers); i++) {
		struct code code = rwx();

		PUT(&code, 0x48, 0xb8);
		put64(&code, numbers[i]);
		put_syscall(&code);
		put_return(&code);
		CHECK_EQ(as_function(code.at)(0, 0, 0), -ENOSYS);
		code.length = 0;
		load_mov_eax(&code, numbers[i]);
		put_syscall(&code);
		put_return(&code);
		CHECK_EQ(as_function(code.at)(0, 0, 0), -ENOSYS);
	}
}

/* --- What is around it --- */

CASE(prefixes)
{
	static const unsigned char prefixes[][3] = {
		{ 1, 0x48 }, { 1, 0x40 }, { 1, 0x4f }, { 1, 0x66 }, { 1, 0x2e }, { 1, 0xf3 },
		{ 1, 0xf2 }, { 1, 0x67 }, { 2, 0x66, 0x48 },
	};
	size_t i;

	for (i = 0; i < sizeof(prefixes) / sizeof(*prefixes); i++) {
		struct code code = rwx();

		load_mov_eax(&code, SYS_getpid);
		put(&code, prefixes[i] + 1, prefixes[i][0]);
		put_syscall(&code);
		put_return(&code);
		check_getpid(as_function(code.at), "with a prefix");
		check_getpid(as_function(code.at), "with a prefix, again");
	}
}

CASE(one_call_right_after_another)
{
	/* dup2(second, 39) returns 39, which is getpid: the second instruction makes that call. */
	struct code code = rwx();
	int i;

	CHECK_EQ(SYS_getpid, 39);
	load_mov_eax(&code, SYS_dup2);
	put_syscall(&code);
	put_syscall(&code);
	put_return(&code);
	for (i = 0; i < 100; i++)
		CHECK_EQ(as_function(code.at)(STDERR_FILENO, 39, 0), getpid());
	CHECK(!close(39));
}

CASE(jumps_to_the_instruction_alone)
{
	/* f: mov eax, getppid; s: syscall; ret. g: mov eax, getpid; jmp s. */
	struct code code = rwx();
	function_fn *first = as_function(code.at), *second, *third;
	size_t site;
	int i, warm;

	for (warm = 0; warm < 3; warm++) {
		code = rwx();
		first = as_function(code.at);
		load_mov_eax(&code, SYS_getppid);
		site = code.length;
		put_syscall(&code);
		put_return(&code);
		second = as_function(code.at + code.length);
		load_mov_eax(&code, SYS_getpid);
		PUT(&code, 0xeb);
		PUT(&code, 0);
		code.at[code.length - 1] = (unsigned char)(site - code.length);
		/* The number is an argument: mov eax, edi; jmp s. */
		third = as_function(code.at + code.length);
		PUT(&code, 0x89, 0xf8, 0xeb, 0);
		code.at[code.length - 1] = (unsigned char)(site - code.length);
		for (i = 0; i < 50 * warm; i++)
			CHECK_EQ(first(0, 0, 0), getppid());
		for (i = 0; i < 100; i++) {
			CHECK_EQ(second(0, 0, 0), getpid());
			CHECK_EQ(third(SYS_gettid, 0, 0), gettid());
			CHECK_EQ(first(0, 0, 0), getppid());
			CHECK_EQ(third(SYS_getuid, 0, 0), getuid());
			CHECK_EQ(third(100000, 0, 0), -ENOSYS);
		}
	}
}

CASE(jumps_to_what_follows)
{
	/* f: mov eax, getpid; syscall; t: add eax, 1; ret. g: mov eax, 41; jmp t */
	struct code code;
	function_fn *first, *second;
	size_t target;
	int i, k;
	/* What follows, from one byte to many: all add one to eax. */
	static const unsigned char tails[][8] = {
		{ 3, 0x83, 0xc0, 0x01 },		/* add eax, 1 */
		{ 2, 0xff, 0xc0 },			/* inc eax */
		{ 5, 0x05, 1, 0, 0, 0 },		/* add eax, imm32 */
		{ 4, 0x48, 0x83, 0xc0, 0x01 },		/* add rax, 1 */
		{ 3, 0x90, 0xff, 0xc0 },		/* nop; inc eax */
	};

	for (k = 0; k < 5; k++) {
		code = rwx();
		first = as_function(code.at);
		load_mov_eax(&code, SYS_getpid);
		put_syscall(&code);
		target = code.length;
		put(&code, tails[k] + 1, tails[k][0]);
		put_return(&code);
		second = as_function(code.at + code.length);
		load_mov_eax(&code, 41);
		PUT(&code, 0xeb, 0);
		code.at[code.length - 1] = (unsigned char)(target - code.length);
		for (i = 0; i < 100; i++) {
			CHECK_EQ(second(0, 0, 0), 42);
			CHECK_EQ(first(0, 0, 0), getpid() + 1);
		}
	}
}

CASE(a_loop_that_ends_in_the_instruction)
{
	/* xor esi: s: mov eax, edi; syscall; dec edx; jnz s; ret */
	struct code code = rwx();

	PUT(&code, 0x89, 0xf8, 0x0f, 0x05, 0xff, 0xca, 0x75, 0xf8, 0xc3);
	CHECK_EQ(as_function(code.at)(SYS_getpid, 0, 1000), getpid());
}

CASE(two_bytes_between_functions)
{
	/* s: syscall; ret, then at once another function: nothing there may be overwritten. */
	struct code code = rwx();
	function_fn *last;
	long (*bare)(long, long, long, long);
	long result;
	int i;

	put_constant(&code, 11);
	put_syscall(&code);
	put_return(&code);
	last = put_constant(&code, 22);
	bare = (void *)(code.at + 6);
	for (i = 0; i < 100; i++) {
		CHECK_EQ(as_function(code.at)(0, 0, 0), 11);
		__asm__ volatile("sub $128, %%rsp\n"
				 "call *%1\n"
				 "add $128, %%rsp\n" : "=a"(result) : "r"(bare), "a"(SYS_getpid)
				 : "rcx", "r11", "memory", "cc");
		CHECK_EQ(result, getpid());
		CHECK_EQ(last(0, 0, 0), 22);
	}
}

CASE(the_bytes_in_constants_are_no_call)
{
	struct code code = rwx();
	function_fn *plain, *wide, *inside;
	int i;

	plain = as_function(code.at);
	PUT(&code, 0xb8, 0x0f, 0x05, 0x00, 0x00, 0xc3);
	wide = as_function(code.at + code.length);
	/* movabs rax, ...: its constant holds "mov eax, edi; syscall; ret" */
	PUT(&code, 0x48, 0xb8, 0x11, 0x89, 0xf8, 0x0f, 0x05, 0xc3, 0x22, 0x33, 0xc3);
	inside = as_function((unsigned char *)wide + 3);
	for (i = 0; i < 100; i++) {
		CHECK_EQ(plain(0, 0, 0), 0x050f);
		CHECK_EQ(wide(0, 0, 0), 0x3322c3050ff88911);
		CHECK_EQ(inside(SYS_getpid, 0, 0), getpid());
		CHECK_EQ(plain(0, 0, 0), 0x050f);
		CHECK_EQ(wide(0, 0, 0), 0x3322c3050ff88911);
	}
}

CASE(code_reads_as_it_was_written)
{
	unsigned char before[256];
	size_t i;
	int round;

	for (i = 0; i < LOADS; i++) {
		struct code code = rwx();
		function_fn *pid = put_call(&code, &loads[i], SYS_getpid);

		memcpy(before, code.at, code.length);
		for (round = 0; round < 100; round++)
			check_getpid(pid, loads[i].name);
		if (memcmp(before, code.at, code.length))
			fail("%s: the code has changed", loads[i].name);
	}
}

/* --- At the ends of pages --- */

CASE(across_two_pages)
{
	size_t i;
	int split, round;

	/* With 0 the whole instruction is on the second page; with 1 it is torn. */
	for (i = 0; i < LOADS; i++) {
		for (split = 0; split <= 2; split++) {
			unsigned char *pages = map(2 * PAGE, PROT_READ | PROT_WRITE | PROT_EXEC);
			struct code code = { pages, 0 };
			size_t length;

			loads[i].put(&code, SYS_getpid);
			length = code.length;
			memset(pages, 0xcc, 256);
			code = (struct code){ pages + PAGE - split - length, 0 };
			put_call(&code, &loads[i], SYS_getpid);
			for (round = 0; round < 50; round++)
				check_getpid(as_function(code.at), loads[i].name);
			CHECK(!mprotect(pages, PAGE, PROT_READ | PROT_EXEC));
			check_getpid(as_function(code.at), loads[i].name);
			CHECK(!mprotect(pages + PAGE, PAGE, PROT_READ | PROT_EXEC));
			check_getpid(as_function(code.at), loads[i].name);
		}
	}
}

static volatile unsigned long fault_address;
static volatile long fault_rax;
static volatile int faults;
static unsigned char *fault_page;

static void open_page(int number, siginfo_t *info, void *context)
{
	greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;

	(void)number;
	fault_address = registers[REG_RIP];
	fault_rax = registers[REG_RAX];
	if (info->si_addr != fault_page)
		fail("fault at %p, not at %p", info->si_addr, fault_page);
	if (mprotect(fault_page, PAGE, PROT_READ | PROT_EXEC))
		fail("mprotect: %d", errno);
	faults++;
}

CASE(the_next_page_cannot_be_executed)
{
	/* The instruction is the last on its page: the call happens, then the fault. */
	unsigned char *pages = map(2 * PAGE, PROT_READ | PROT_WRITE | PROT_EXEC);
	struct code code = { pages + PAGE - 7, 0 };
	int i;

	put_call(&code, &loads[0], SYS_getpid);
	fault_page = pages + PAGE;
	handle(SIGSEGV, open_page, 0);
	for (i = 0; i < 20; i++) {
		CHECK(!mprotect(pages + PAGE, PAGE, PROT_NONE));
		check_getpid(as_function(code.at), "last on its page");
		CHECK_EQ(faults, i + 1);
		CHECK_EQ(fault_address, (unsigned long)fault_page);
		CHECK_EQ(fault_rax, getpid());
	}
}

CASE(half_of_it_cannot_be_executed)
{
	/* 0f | 05: the fault is at the second page's begin, for an instruction of the first. */
	unsigned char *pages = map(2 * PAGE, PROT_READ | PROT_WRITE | PROT_EXEC);
	struct code code = { pages + PAGE - 6, 0 };
	int i;

	put_call(&code, &loads[0], SYS_getpid);
	fault_page = pages + PAGE;
	handle(SIGSEGV, open_page, 0);
	for (i = 0; i < 20; i++) {
		CHECK(!mprotect(pages + PAGE, PAGE, PROT_NONE));
		check_getpid(as_function(code.at), "torn");
		CHECK_EQ(faults, i + 1);
		CHECK_EQ(fault_address, (unsigned long)fault_page - 1);
		CHECK_EQ(fault_rax, SYS_getpid);
	}
}

/* --- Where the code lies, and how it comes and goes --- */

CASE(rewritten_in_place)
{
	struct code code = rwx();
	int i;

	for (i = 0; i < 500; i++) {
		code.length = 0;
		put_call(&code, &loads[i % LOADS], SYS_getpid);
		check_getpid(as_function(code.at), loads[i % LOADS].name);
		code.length = 0;
		put_constant(&code, i);
		CHECK_EQ(as_function(code.at)(0, 0, 0), i);
		/* Only the instruction goes: two nops in its place. */
		code.length = 0;
		load_mov_eax(&code, SYS_getppid);
		PUT(&code, 0x90, 0x90, 0xc3);
		CHECK_EQ(as_function(code.at)(0, 0, 0), SYS_getppid);
		/* And comes back; only the number changes then. */
		code.length = 5;
		put_syscall(&code);
		CHECK_EQ(as_function(code.at)(0, 0, 0), getppid());
		code.length = 0;
		load_mov_eax(&code, SYS_gettid);
		CHECK_EQ(as_function(code.at)(0, 0, 0), gettid());
	}
}

CASE(rewritten_under_changing_protection)
{
	struct code code = { map(PAGE, PROT_READ | PROT_WRITE), 0 };
	int i;

	for (i = 0; i < 300; i++) {
		CHECK(!mprotect(code.at, PAGE, PROT_READ | PROT_WRITE));
		code.length = 0;
		if (i % 3 == 2)
			put_constant(&code, i);
		else
			put_call(&code, &loads[i % LOADS], i % 3 ? SYS_getpid : SYS_getppid);
		CHECK(!mprotect(code.at, PAGE, i % 2 ? PROT_READ | PROT_EXEC : PROT_EXEC));
		CHECK_EQ(as_function(code.at)(0, 0, 0),
			 i % 3 == 2 ? i : i % 3 ? getpid() : getppid());
		CHECK_EQ(as_function(code.at)(0, 0, 0),
			 i % 3 == 2 ? i : i % 3 ? getpid() : getppid());
	}
}

static void map_twice(unsigned char **writable, unsigned char **executable, int flags)
{
	int fd = memfd_create("code", 0);

	CHECK(fd >= 0);
	CHECK(!ftruncate(fd, PAGE));
	*writable = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	*executable = mmap(NULL, PAGE, PROT_READ | PROT_EXEC, flags, fd, 0);
	CHECK(*writable != MAP_FAILED && *executable != MAP_FAILED);
	close(fd);
}

CASE(rewritten_through_another_mapping)
{
	unsigned char *writable, *executable, before[256];
	struct code code;
	int i;

	map_twice(&writable, &executable, MAP_SHARED);
	for (i = 0; i < 500; i++) {
		code = (struct code){ writable, 0 };
		put_call(&code, &loads[i % LOADS], i % 2 ? SYS_getpid : SYS_getppid);
		memcpy(before, writable, code.length);
		CHECK_EQ(as_function(executable)(0, 0, 0), i % 2 ? getpid() : getppid());
		CHECK_EQ(as_function(executable)(0, 0, 0), i % 2 ? getpid() : getppid());
		CHECK(!memcmp(before, writable, code.length));
		CHECK(!memcmp(before, executable, code.length));
		code.length = 0;
		put_constant(&code, i);
		CHECK_EQ(as_function(executable)(0, 0, 0), i);
	}
}

static unsigned char *race_code;
static volatile bool race_over;

static void *race_runner(void *argument)
{
	long calls = 0;

	(void)argument;
	while (!race_over) {
		long found = as_function(race_code)(0, 0, 0);

		if (found != getpid() && found != getppid())
			fail("torn code: %ld", found);
		calls++;
	}
	return (void *)calls;
}

CASE(rewritten_while_others_run_it)
{
	unsigned char *writable;
	struct code code;
	pthread_t threads[2];
	void *calls;
	int64_t end = now_ns() + 1000000000;
	int i;

	map_twice(&writable, &race_code, MAP_SHARED);
	code = (struct code){ writable, 3 }; /* the constant is aligned: written at once */
	put_call(&code, &loads[0], SYS_getpid);
	race_code += 3;
	for (i = 0; i < 2; i++)
		CHECK(!pthread_create(&threads[i], NULL, race_runner, NULL));
	for (i = 0; now_ns() < end; i++)
		__atomic_store_n((uint32_t *)(writable + 4), i % 2 ? SYS_getpid : SYS_getppid,
				 __ATOMIC_SEQ_CST);
	race_over = true;
	for (i = 0; i < 2; i++) {
		pthread_join(threads[i], &calls);
		CHECK((long)calls > 100);
	}
}

CASE(shared_between_processes)
{
	unsigned char *shared = mmap(NULL, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC,
				     MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct code code = { shared, 0 };
	int i;

	CHECK(shared != MAP_FAILED);
	for (i = 0; i < 20; i++) {
		pid_t child;

		code.length = 0;
		put_call(&code, &loads[i % LOADS], SYS_getpid);
		CHECK_EQ(as_function(shared)(0, 0, 0), getpid());
		child = fork();
		if (!child) {
			CHECK_EQ(as_function(shared)(0, 0, 0), getpid());
			code.length = 0;
			put_constant(&code, i + 5);
			CHECK_EQ(as_function(shared)(0, 0, 0), i + 5);
			_exit(0);
		}
		join_child(child);
		CHECK_EQ(as_function(shared)(0, 0, 0), i + 5);
	}
}

CASE(private_after_fork)
{
	struct code code = rwx();
	int i;

	for (i = 0; i < 20; i++) {
		pid_t child;

		code.length = 0;
		put_call(&code, &loads[i % LOADS], SYS_getpid);
		CHECK_EQ(as_function(code.at)(0, 0, 0), getpid());
		child = fork();
		if (!child) {
			CHECK_EQ(as_function(code.at)(0, 0, 0), getpid());
			code.length = 0;
			put_constant(&code, 5);
			CHECK_EQ(as_function(code.at)(0, 0, 0), 5);
			_exit(0);
		}
		join_child(child);
		CHECK_EQ(as_function(code.at)(0, 0, 0), getpid());
	}
}

static int code_file(int number, int constant)
{
	unsigned char page[PAGE] = { 0 };
	struct code code = { page, 0 };
	char name[] = "/tmp/code.XXXXXX";
	int fd = mkstemp(name);

	CHECK(fd >= 0);
	unlink(name);
	if (number >= 0)
		put_call(&code, &loads[0], number);
	else
		put_constant(&code, constant);
	CHECK_EQ(write(fd, page, PAGE), PAGE);
	return fd;
}

CASE(files_one_after_another_at_one_address)
{
	unsigned char *place = map(PAGE, PROT_NONE);
	int fds[3] = { code_file(SYS_getpid, 0), code_file(-1, 1234), code_file(SYS_getppid, 0) };
	long expected[3] = { getpid(), 1234, getppid() };
	int i;

	for (i = 0; i < 300; i++) {
		if (i % 5 == 0)
			CHECK(!munmap(place, PAGE));
		CHECK(mmap(place, PAGE, PROT_READ | PROT_EXEC,
			   (i % 2 ? MAP_PRIVATE : MAP_SHARED) | MAP_FIXED, fds[i % 3], 0) == place);
		CHECK_EQ(as_function(place)(0, 0, 0), expected[i % 3]);
		CHECK_EQ(as_function(place)(0, 0, 0), expected[i % 3]);
	}
}

CASE(a_file_is_written_while_it_is_mapped)
{
	int fd = code_file(SYS_getpid, 0);
	unsigned char *place = mmap(NULL, PAGE, PROT_READ | PROT_EXEC, MAP_SHARED, fd, 0);
	unsigned char bytes[64], seen[64];
	struct code code;
	int i;

	CHECK(place != MAP_FAILED);
	for (i = 0; i < 100; i++) {
		CHECK_EQ(as_function(place)(0, 0, 0), getpid());
		code = (struct code){ bytes, 0 };
		put_constant(&code, i);
		CHECK_EQ(pwrite(fd, bytes, code.length, 0), code.length);
		CHECK_EQ(as_function(place)(0, 0, 0), i);
		code.length = 0;
		put_call(&code, &loads[0], SYS_getpid);
		CHECK_EQ(pwrite(fd, bytes, code.length, 0), code.length);
		CHECK_EQ(as_function(place)(0, 0, 0), getpid());
		CHECK_EQ(pread(fd, seen, code.length, 0), code.length);
		CHECK(!memcmp(bytes, seen, code.length));
	}
}

CASE(code_moves)
{
	struct code code = rwx();
	unsigned char *first = code.at, *second = map(PAGE, PROT_NONE), *moved;
	int i;

	put_call(&code, &loads[0], SYS_getpid);
	for (i = 0; i < 100; i++) {
		check_getpid(as_function(i % 2 ? second : first), "before it moves");
		moved = mremap(i % 2 ? second : first, PAGE, PAGE, MREMAP_MAYMOVE | MREMAP_FIXED,
			       i % 2 ? first : second);
		CHECK(moved == (i % 2 ? first : second));
		check_getpid(as_function(moved), "after it moved");
		CHECK(mmap(i % 2 ? second : first, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) != MAP_FAILED);
	}
}

CASE(code_is_dropped_by_madvise)
{
	int fd = code_file(SYS_getpid, 0);
	unsigned char *place = mmap(NULL, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE,
				    fd, 0);
	struct code code = { place, 0 };
	int i;

	CHECK(place != MAP_FAILED);
	for (i = 0; i < 100; i++) {
		check_getpid(as_function(place), "from the file");
		code.length = 0;
		put_constant(&code, i);
		CHECK_EQ(as_function(place)(0, 0, 0), i);
		CHECK(!madvise(place, PAGE, MADV_DONTNEED));
	}
}

CASE(written_through_proc_mem)
{
	struct code code = { map(PAGE, PROT_READ | PROT_EXEC), 0 };
	unsigned char *place = code.at, bytes[64], seen[64];
	int fd = open("/proc/self/mem", O_RDWR), i;

	CHECK(fd >= 0);
	code.at = bytes;
	for (i = 0; i < 100; i++) {
		code.length = 0;
		put_call(&code, &loads[i % LOADS], SYS_getpid);
		CHECK_EQ(pwrite(fd, bytes, code.length, (long)place), code.length);
		check_getpid(as_function(place), loads[i % LOADS].name);
		CHECK_EQ(pread(fd, seen, code.length, (long)place), code.length);
		CHECK(!memcmp(bytes, seen, code.length));
		code.length = 0;
		put_constant(&code, i);
		CHECK_EQ(pwrite(fd, bytes, code.length, (long)place), code.length);
		CHECK_EQ(as_function(place)(0, 0, 0), i);
	}
}

CASE(many_sites)
{
	/* More than any table of a fixed size holds; all on the way of one pass. */
	const int sites = 40000;
	unsigned char *area = map(sites * 16, PROT_READ | PROT_WRITE | PROT_EXEC);
	int i, round;

	for (i = 0; i < sites; i++) {
		struct code code = { area + i * 16, 0 };

		put_call(&code, &loads[i % 2 ? 0 : 2], i % 3 ? SYS_getpid : SYS_getppid);
	}
	for (round = 0; round < 2; round++)
		for (i = 0; i < sites; i++)
			CHECK_EQ(as_function(area + i * 16)(0, 0, 0),
				 i % 3 ? getpid() : getppid());
}

CASE(code_far_from_everything)
{
	/* Where a jump of 32 bits reaches nothing else. */
	static const unsigned long places[] = {
		0x10000, 0x200000, 0x70000000, 0x80000000, 0xfffff000, 0x100000000, 0x7f0000000,
		0x10000000000, 0x3fffffff0000, 0x7e0000000000,
	};
	size_t i, k;

	for (i = 0; i < sizeof(places) / sizeof(*places); i++) {
		struct code code = { mmap((void *)places[i], PAGE,
					  PROT_READ | PROT_WRITE | PROT_EXEC,
					  MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0),
				     0 };

		if (code.at == MAP_FAILED)
			continue;
		for (k = 0; k < LOADS; k++) {
			code.length = 0;
			put_call(&code, &loads[k], SYS_getpid);
			check_getpid(as_function(code.at), loads[k].name);
			check_getpid(as_function(code.at), loads[k].name);
		}
		munmap(code.at, PAGE);
	}
}

/* --- Blocked, interrupted, restarted --- */

static int pipe_fds[2];
static volatile int caught;
static volatile unsigned long handler_rip;
static volatile long handler_rax;

static void note_place(int number, siginfo_t *info, void *context)
{
	greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;

	(void)number;
	(void)info;
	handler_rip = registers[REG_RIP];
	handler_rax = registers[REG_RAX];
	caught++;
}

static pid_t disturb_then_write(bool finish)
{
	pid_t parent = getpid(), child = fork();
	int i;

	if (child)
		return child;
	for (i = 0; i < 3; i++) {
		sleep_ms(15);
		kill(parent, SIGUSR1);
	}
	sleep_ms(15);
	if (finish)
		_exit(write(pipe_fds[1], "x", 1) != 1);
	_exit(0);
}

/* Where the instruction is in "load; syscall; ret". */
static unsigned long site_of(const struct code *code)
{
	return (unsigned long)code->at + code->length - 3;
}

CASE(restarted_reads)
{
	size_t i;
	char byte;

	CHECK(!pipe(pipe_fds));
	handle(SIGUSR1, note_place, SA_RESTART);
	for (i = 0; i < LOADS; i++) {
		struct code code = rwx();
		function_fn *call = put_call(&code, &loads[i], SYS_read);
		pid_t child = disturb_then_write(true);
		long found;

		caught = 0;
		byte = 0;
		found = call(pipe_fds[0], (long)&byte, 1);
		if (found != 1 || byte != 'x' || !caught)
			fail("%s: %ld, %d signals", loads[i].name, found, caught);
		join_child(child);
	}
}

CASE(restarted_read_with_junk_above)
{
	struct code code = rwx();
	function_fn *call = put_call(&code, &junk_above, SYS_read);
	pid_t child;
	char byte;

	CHECK(!pipe(pipe_fds));
	handle(SIGUSR1, note_place, SA_RESTART);
	child = disturb_then_write(true);
	CHECK_EQ(call(pipe_fds[0], (long)&byte, 1), 1);
	join_child(child);
}

CASE(interrupted_read_with_junk_above)
{
	struct code code = rwx();
	function_fn *call = put_call(&code, &junk_above, SYS_read);
	pid_t child;
	char byte;

	CHECK(!pipe(pipe_fds));
	handle(SIGUSR1, note_place, 0);
	child = disturb_then_write(false);
	CHECK_EQ(call(pipe_fds[0], (long)&byte, 1), -EINTR);
	join_child(child);
}

CASE(where_a_restarted_call_is)
{
	size_t i;
	char byte;

	CHECK(!pipe(pipe_fds));
	handle(SIGUSR1, note_place, SA_RESTART);
	for (i = 0; i < LOADS; i++) {
		struct code code = rwx();
		function_fn *call = put_call(&code, &loads[i], SYS_read);
		pid_t child = disturb_then_write(true);

		handler_rip = 0;
		CHECK_EQ(call(pipe_fds[0], (long)&byte, 1), 1);
		join_child(child);
		if (handler_rip != site_of(&code) || (int)handler_rax != SYS_read)
			fail("%s: rip is %#lx, the site %#lx; rax is %#lx", loads[i].name,
			     handler_rip, site_of(&code), handler_rax);
	}
}

CASE(where_an_interrupted_call_is)
{
	size_t i;
	char byte;

	CHECK(!pipe(pipe_fds));
	handle(SIGUSR1, note_place, 0);
	for (i = 0; i < LOADS; i++) {
		struct code code = rwx();
		function_fn *call = put_call(&code, &loads[i], SYS_read);
		pid_t child = disturb_then_write(false);

		CHECK_EQ(call(pipe_fds[0], (long)&byte, 1), -EINTR);
		if (handler_rip != site_of(&code) + 2 || handler_rax != -EINTR)
			fail("%s: rip is %#lx, the site %#lx; rax is %#lx", loads[i].name,
			     handler_rip, site_of(&code), handler_rax);
		join_child(child);
	}
}

CASE(sleeps_that_are_stopped)
{
	/* Goes on as restart_syscall(), whose number is not the one in the code. */
	size_t i;

	for (i = 0; i < LOADS; i++) {
		struct code code = rwx();
		function_fn *call = put_call(&code, &loads[i], SYS_nanosleep);
		int64_t begin = now_ns();
		pid_t child = fork();
		int status, k;

		if (!child) {
			struct timespec asked = { 0, 150000000 };

			_exit(call((long)&asked, 0, 0) != 0);
		}
		for (k = 0; k < 3; k++) {
			sleep_ms(10);
			kill(child, SIGSTOP);
			CHECK_EQ(waitpid(child, &status, WUNTRACED), child);
			CHECK(WIFSTOPPED(status));
			kill(child, SIGCONT);
		}
		join_child(child);
		CHECK(now_ns() - begin >= 150000000);
	}
}

static sigjmp_buf back;

static void jump_back(int number, siginfo_t *info, void *context)
{
	(void)number;
	(void)info;
	(void)context;
	siglongjmp(back, 1);
}

CASE(jumps_out_of_a_site)
{
	volatile size_t i;
	volatile int k;

	CHECK(!pipe(pipe_fds));
	handle(SIGALRM, jump_back, 0);
	for (i = 0; i < LOADS; i++) {
		struct code code = rwx();
		function_fn *call = put_call(&code, &loads[i], SYS_read);

		for (k = 0; k < 5; k++) {
			if (!sigsetjmp(back, 1)) {
				char byte;

				ualarm(3000, 0);
				call(pipe_fds[0], (long)&byte, 1);
				fail("%s: the call returned", loads[i].name);
			}
		}
		check_getpid(put_call(&code, &loads[i], SYS_getpid), "after a jump");
	}
}

static unsigned long redirect_to;

static void redirect(int number, siginfo_t *info, void *context)
{
	greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;

	(void)number;
	(void)info;
	if (!caught++) {
		registers[REG_RIP] = redirect_to;
		registers[REG_RAX] = SYS_getpid;
	}
}

CASE(handlers_return_to_a_site)
{
	size_t i;
	char byte;

	CHECK(!pipe(pipe_fds));
	handle(SIGUSR1, redirect, 0);
	for (i = 0; i < LOADS; i++) {
		struct code code = rwx();
		function_fn *call = put_call(&code, &loads[i], SYS_read);
		pid_t child = disturb_then_write(false);

		caught = 0;
		redirect_to = site_of(&code);
		CHECK_EQ(call(pipe_fds[0], (long)&byte, 1), getpid());
		join_child(child);
	}
}

/* --- Other ways into a kernel --- */

static void leave_number(int number, siginfo_t *info, void *context)
{
	(void)info;
	(void)context;
	siglongjmp(back, number);
}

CASE(int_0x80)
{
	/* 20 is getpid for 32-bit code, and writev for 64-bit code: never that. */
	long result = -1;
	int number;

	handle(SIGSEGV, leave_number, 0);
	handle(SIGILL, leave_number, 0);
	number = sigsetjmp(back, 1);
	if (number) {
		CHECK_EQ(number, SIGSEGV);
		return;
	}
	__asm__ volatile("int $0x80" : "=a"(result) : "a"(20), "b"(0), "c"(0), "d"(0)
			 : "memory", "r8", "r9", "r10", "r11");
	CHECK_EQ(result, getpid());
}

CASE(sysenter)
{
	pid_t child = fork();
	int status;

	/* No program of 64 bits does it: it may end the program, nothing else. */
	if (!child) {
		__asm__ volatile("mov $20, %%eax\n"
				 "sysenter" : : : "memory");
		_exit(0);
	}
	CHECK_EQ(waitpid(child, &status, 0), child);
	CHECK(WIFSIGNALED(status));
}

CASE(vsyscall_page)
{
	long (*old_time)(long *) = (void *)0xffffffffff600400;
	int number;
	long found;

	handle(SIGSEGV, leave_number, 0);
	number = sigsetjmp(back, 1);
	if (number)
		return; /* some kernels have none */
	found = old_time(NULL);
	CHECK(found >= time(NULL) - 2 && found <= time(NULL) + 2);
}

CASE(exit_at_any_form)
{
	size_t i;

	for (i = 0; i < LOADS; i++) {
		pid_t child = fork();
		int status;

		if (!child) {
			struct code code = rwx();

			put_call(&code, &loads[i], i % 2 ? SYS_exit : 60)(7, 0, 0);
			_exit(1);
		}
		CHECK_EQ(waitpid(child, &status, 0), child);
		CHECK(WIFEXITED(status));
		CHECK_EQ(WEXITSTATUS(status), 7);
	}
}

CASE(fork_at_any_form)
{
	size_t i;

	for (i = 0; i < LOADS; i++) {
		struct code code = rwx();
		long child = put_call(&code, &loads[i], SYS_fork)(0, 0, 0);

		if (!child)
			_exit(getpid() == syscall(SYS_getpid) ? 0 : 1);
		join_child(child);
	}
}
