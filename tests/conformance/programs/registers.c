// SPDX-License-Identifier: Apache-2.0
/* Registers: what system calls, signals and other programs must leave as it is. */
#define _GNU_SOURCE
#include "check.h"

#include <asm/prctl.h>
#include <cpuid.h>
#include <immintrin.h>
#include <pthread.h>
#include <sched.h>
#include <sys/auxv.h>
#include <sys/time.h>
#include <sys/ucontext.h>

#define STATE_BYTES (32 * 64 + 8 * 8)

/* The vector registers: 32 of 64 bytes, then 8 mask registers. Smaller sets leave the rest. */
struct vectors {
	unsigned char bytes[STATE_BYTES] __attribute__((aligned(64)));
};

enum { LEVEL_SSE, LEVEL_AVX, LEVEL_AVX512 };

static int level_of_processor(void)
{
	static const int mask_avx = 0x6, mask_avx512 = 0xe6;
	unsigned int eax, ebx, ecx, edx, enabled, high;

	if (!__get_cpuid(1, &eax, &ebx, &ecx, &edx) || !(ecx & bit_OSXSAVE))
		return LEVEL_SSE;
	__asm__ volatile("xgetbv" : "=a"(enabled), "=d"(high) : "c"(0));
	if ((enabled & mask_avx) != mask_avx)
		return LEVEL_SSE;
	if ((enabled & mask_avx512) != mask_avx512 ||
	    !__get_cpuid_count(7, 0, &eax, &ebx, &ecx, &edx) || !(ebx & bit_AVX512BW))
		return LEVEL_AVX;
	return LEVEL_AVX512;
}

#define EACH16(x) x(0) x(1) x(2) x(3) x(4) x(5) x(6) x(7) x(8) x(9) x(10) x(11) x(12) x(13) \
	x(14) x(15)
#define HIGH16(x) x(16) x(17) x(18) x(19) x(20) x(21) x(22) x(23) x(24) x(25) x(26) x(27) \
	x(28) x(29) x(30) x(31)
#define EACH8(x) x(0) x(1) x(2) x(3) x(4) x(5) x(6) x(7)
#define LOAD_XMM(n) "movups " #n "*64(%rdi), %xmm" #n "\n"
#define SAVE_XMM(n) "movups %xmm" #n ", " #n "*64(%rbx)\n"
#define LOAD_YMM(n) "vmovups " #n "*64(%rdi), %ymm" #n "\n"
#define SAVE_YMM(n) "vmovups %ymm" #n ", " #n "*64(%rbx)\n"
#define LOAD_ZMM(n) "vmovups " #n "*64(%rdi), %zmm" #n "\n"
#define SAVE_ZMM(n) "vmovups %zmm" #n ", " #n "*64(%rbx)\n"
#define LOAD_MASK(n) "kmovq 32*64+" #n "*8(%rdi), %k" #n "\n"
#define SAVE_MASK(n) "kmovq %k" #n ", 32*64+" #n "*8(%rbx)\n"

typedef long around_fn(const struct vectors *load, struct vectors *save, long number, long first,
		       long second, long third);

/* Loads all vector registers, makes a call or counts down from "number", saves them. */
#define AROUND(name, load, middle, save)				\
	around_fn name;							\
	__asm__(".pushsection .text\n"					\
		#name ":\n"						\
		"push %rbx\n"						\
		"mov %rsi, %rbx\n"					\
		load							\
		"mov %rdx, %rax\n"					\
		"mov %rcx, %rdi\n"					\
		"mov %r8, %rsi\n"					\
		"mov %r9, %rdx\n"					\
		middle							\
		save							\
		"pop %rbx\n"						\
		"ret\n"							\
		".popsection\n")

#define SPIN "1: dec %rax\n" "jnz 1b\n"

AROUND(call_sse, EACH16(LOAD_XMM), "syscall\n", EACH16(SAVE_XMM));
AROUND(call_avx, EACH16(LOAD_YMM), "syscall\n", EACH16(SAVE_YMM) "vzeroupper\n");
AROUND(call_avx512, EACH16(LOAD_ZMM) HIGH16(LOAD_ZMM) EACH8(LOAD_MASK), "syscall\n",
       EACH16(SAVE_ZMM) HIGH16(SAVE_ZMM) EACH8(SAVE_MASK) "vzeroupper\n");
AROUND(spin_sse, EACH16(LOAD_XMM), SPIN, EACH16(SAVE_XMM));
AROUND(spin_avx, EACH16(LOAD_YMM), SPIN, EACH16(SAVE_YMM) "vzeroupper\n");
AROUND(spin_avx512, EACH16(LOAD_ZMM) HIGH16(LOAD_ZMM) EACH8(LOAD_MASK), SPIN,
       EACH16(SAVE_ZMM) HIGH16(SAVE_ZMM) EACH8(SAVE_MASK) "vzeroupper\n");

static around_fn *const callers[] = { call_sse, call_avx, call_avx512 };
static around_fn *const spinners[] = { spin_sse, spin_avx, spin_avx512 };

static void fill(struct vectors *vectors, unsigned int seed)
{
	int i;

	for (i = 0; i < STATE_BYTES; i++) {
		seed = seed * 1103515245 + 12345;
		vectors->bytes[i] = seed >> 16;
	}
}

static void compare(const struct vectors *loaded, const struct vectors *saved, int level)
{
	int registers = level == LEVEL_AVX512 ? 32 : 16;
	int width = 16 << level;
	int i;

	for (i = 0; i < registers; i++)
		if (memcmp(&loaded->bytes[i * 64], &saved->bytes[i * 64], width))
			fail("vector register %d (%d bytes) has changed", i, width);
	if (level == LEVEL_AVX512 && memcmp(&loaded->bytes[32 * 64], &saved->bytes[32 * 64], 64))
		fail("a mask register has changed");
}

static void need(int level)
{
	if (level_of_processor() < level)
		SKIP("this processor has no such registers");
}

static void across_calls(int level)
{
	struct vectors loaded, saved;
	char buffer[64];
	int fds[2], i;

	need(level);
	CHECK(!pipe(fds));
	for (i = 0; i < 300; i++) {
		fill(&loaded, i);
		CHECK_EQ(callers[level](&loaded, &saved, SYS_getpid, 0, 0, 0), getpid());
		compare(&loaded, &saved, level);
		CHECK_EQ(callers[level](&loaded, &saved, SYS_write, fds[1], (long)"vectors", 7), 7);
		compare(&loaded, &saved, level);
		CHECK_EQ(callers[level](&loaded, &saved, SYS_read, fds[0], (long)buffer, 7), 7);
		compare(&loaded, &saved, level);
		CHECK_EQ(callers[level](&loaded, &saved, SYS_close, -1, 0, 0), -EBADF);
		compare(&loaded, &saved, level);
		CHECK_EQ(callers[level](&loaded, &saved, SYS_sched_yield, 0, 0, 0), 0);
		compare(&loaded, &saved, level);
		CHECK_EQ(callers[level](&loaded, &saved, SYS_clock_gettime, 1, (long)buffer, 0), 0);
		compare(&loaded, &saved, level);
	}
}

CASE(sse_across_calls) { across_calls(LEVEL_SSE); }
CASE(avx_across_calls) { across_calls(LEVEL_AVX); }
CASE(avx512_across_calls) { across_calls(LEVEL_AVX512); }

static void across_fork(int level)
{
	struct vectors loaded, saved;
	pid_t self = getpid();
	long result;

	need(level);
	fill(&loaded, 7);
	result = callers[level](&loaded, &saved, SYS_fork, 0, 0, 0);
	CHECK(result >= 0);
	compare(&loaded, &saved, level);
	if (getpid() != self)
		_exit(0);
	join_child(result);
}

CASE(sse_across_fork) { across_fork(LEVEL_SSE); }
CASE(avx_across_fork) { across_fork(LEVEL_AVX); }
CASE(avx512_across_fork) { across_fork(LEVEL_AVX512); }

static volatile sig_atomic_t caught;

static void trash_vectors(int number, siginfo_t *info, void *context)
{
	struct vectors other, saved;
	int level = level_of_processor();

	(void)number;
	(void)info;
	(void)context;
	fill(&other, ++caught + 1000);
	callers[level](&other, &saved, SYS_getpid, 0, 0, 0);
	compare(&other, &saved, level);
}

static void across_signals(int level)
{
	struct vectors loaded, saved;
	struct itimerval timer = { { 0, 1000 }, { 0, 1000 } };
	int64_t end = now_ns() + 1500000000;
	unsigned int seed = 0;
	int i;

	need(level);
	handle(SIGUSR1, trash_vectors, 0);
	handle(SIGALRM, trash_vectors, 0);
	for (i = 0; i < 200; i++) {
		fill(&loaded, i);
		callers[level](&loaded, &saved, SYS_kill, getpid(), SIGUSR1, 0);
		compare(&loaded, &saved, level);
	}
	CHECK_EQ(caught, 200);
	CHECK(!setitimer(ITIMER_REAL, &timer, NULL));
	while (now_ns() < end) {
		fill(&loaded, seed++);
		spinners[level](&loaded, &saved, 200000, 0, 0, 0);
		compare(&loaded, &saved, level);
	}
	CHECK(caught > 250);
}

CASE(sse_across_signals) { across_signals(LEVEL_SSE); }
CASE(avx_across_signals) { across_signals(LEVEL_AVX); }
CASE(avx512_across_signals) { across_signals(LEVEL_AVX512); }

static void *mind_vectors(void *argument)
{
	unsigned int seed = (unsigned int)(uintptr_t)argument;
	int level = level_of_processor();
	int64_t end = now_ns() + 2000000000;
	struct vectors loaded, saved;

	while (now_ns() < end) {
		fill(&loaded, seed++);
		spinners[level](&loaded, &saved, 3000000, 0, 0, 0);
		compare(&loaded, &saved, level);
		callers[level](&loaded, &saved, SYS_sched_yield, 0, 0, 0);
		compare(&loaded, &saved, level);
	}
	return NULL;
}

CASE(vectors_of_several_programs)
{
	pid_t children[4];
	pthread_t threads[3];
	int i, k;

	for (i = 0; i < 4; i++) {
		children[i] = fork();
		if (children[i])
			continue;
		for (k = 0; k < 3; k++)
			CHECK(!pthread_create(&threads[k], NULL, mind_vectors,
					      (void *)(uintptr_t)(i * 100000 + k * 1000)));
		for (k = 0; k < 3; k++)
			pthread_join(threads[k], NULL);
		_exit(0);
	}
	for (i = 0; i < 4; i++)
		join_child(children[i]);
}

static unsigned int mxcsr_in_handler;
static unsigned short control_in_handler;

static void note_control(int number, siginfo_t *info, void *context)
{
	unsigned int other = 0x1fbf;

	(void)number;
	(void)info;
	(void)context;
	__asm__ volatile("stmxcsr %0" : "=m"(mxcsr_in_handler));
	__asm__ volatile("fnstcw %0" : "=m"(control_in_handler));
	__asm__ volatile("ldmxcsr %0" : : "m"(other));
}

CASE(floating_point_control)
{
	unsigned int mxcsr = 0x7fa0, now;
	unsigned short control = 0x0e7f, now_control;
	pid_t child;

	handle(SIGUSR1, note_control, 0);
	__asm__ volatile("ldmxcsr %0" : : "m"(mxcsr));
	__asm__ volatile("fldcw %0" : : "m"(control));
	syscall(SYS_getpid);
	syscall(SYS_sched_yield);
	raise(SIGUSR1);
	__asm__ volatile("stmxcsr %0" : "=m"(now));
	__asm__ volatile("fnstcw %0" : "=m"(now_control));
	CHECK_EQ(now, mxcsr);
	CHECK_EQ(now_control, control);
	CHECK_EQ(mxcsr_in_handler, 0x1f80);
	CHECK_EQ(control_in_handler, 0x37f);
	child = fork();
	if (!child) {
		__asm__ volatile("stmxcsr %0" : "=m"(now));
		_exit(now != mxcsr);
	}
	join_child(child);
}

CASE(x87_stack_across_calls)
{
	double values[4];
	int i;

	for (i = 0; i < 200; i++) {
		long result;

		__asm__ volatile("fldpi\n"
				 "fldl2e\n"
				 "fldlg2\n"
				 "fldln2\n"
				 "syscall\n"
				 "fstpl 0(%1)\n"
				 "fstpl 8(%1)\n"
				 "fstpl 16(%1)\n"
				 "fstpl 24(%1)\n"
				 : "=a"(result) : "r"(values), "a"(SYS_sched_yield)
				 : "rcx", "r11", "memory");
		CHECK_EQ(result, 0);
		CHECK(values[0] > 0.6931 && values[0] < 0.6932);
		CHECK(values[1] > 0.3010 && values[1] < 0.3011);
		CHECK(values[2] > 1.4426 && values[2] < 1.4427);
		CHECK(values[3] > 3.1415 && values[3] < 3.1416);
	}
}

static void change_vector(int number, siginfo_t *info, void *context)
{
	struct _libc_fpstate *state = ((ucontext_t *)context)->uc_mcontext.fpregs;
	int i;

	(void)number;
	(void)info;
	if (!state)
		fail("there is no floating point state in the frame");
	for (i = 0; i < 4; i++)
		if (state->_xmm[3].element[i] != 0x01010101U * (i + 1))
			fail("xmm3 in the frame is %#x", state->_xmm[3].element[i]);
	state->_xmm[3].element[0] = 0xabcdef01;
}

CASE(handlers_see_and_change_vectors)
{
	static const uint32_t before[4] = { 0x01010101, 0x02020202, 0x03030303, 0x04040404 };
	uint32_t after[4];
	long result;

	handle(SIGUSR1, change_vector, 0);
	__asm__ volatile("movups %2, %%xmm3\n"
			 "syscall\n"
			 "movups %%xmm3, %1\n"
			 : "=a"(result), "=m"(after)
			 : "m"(before), "a"(SYS_kill), "D"(getpid()), "S"(SIGUSR1)
			 : "rcx", "r11", "xmm3", "memory");
	CHECK_EQ(result, 0);
	CHECK_EQ(after[0], 0xabcdef01);
	CHECK_EQ(after[3], before[3]);
}

static void look_at_frame(int number, siginfo_t *info, void *context)
{
	char *state = (char *)((ucontext_t *)context)->uc_mcontext.fpregs;
	uint32_t magic1, size, end;
	uint64_t features;

	(void)number;
	(void)info;
	/* struct _fpx_sw_bytes, in what FXSAVE leaves to software. */
	memcpy(&magic1, state + 464, 4);
	memcpy(&features, state + 472, 8);
	memcpy(&size, state + 480, 4);
	if (magic1 != 0x46505853)
		fail("no FP_XSTATE_MAGIC1 in the frame");
	if (level_of_processor() >= LEVEL_AVX && (features & 7) != 7)
		fail("features in the frame: %#lx", features);
	memcpy(&end, state + size, 4);
	if (end != 0x46505845)
		fail("no FP_XSTATE_MAGIC2 in the frame");
	if ((uintptr_t)state % 64)
		fail("the state in the frame is not aligned");
	caught++;
}

CASE(extended_state_in_the_frame)
{
	need(LEVEL_AVX);
	handle(SIGUSR1, look_at_frame, 0);
	raise(SIGUSR1);
	CHECK_EQ(caught, 1);
}

/* --- General registers --- */

CASE(general_registers_across_calls)
{
	int i;

	for (i = 0; i < 1000; i++) {
		unsigned long r[13];
		unsigned long address;

		__asm__ volatile("push %%rbp\n"
				 "push %%rbx\n"
				 "sub $128, %%rsp\n"
				 "push %%rdi\n"
				 "mov $0x1111222233334444, %%rbx\n"
				 "mov $0x2111222233334444, %%rbp\n"
				 "mov $0x3111222233334444, %%r12\n"
				 "mov $0x4111222233334444, %%r13\n"
				 "mov $0x5111222233334444, %%r14\n"
				 "mov $0x6111222233334444, %%r15\n"
				 "mov $0x7111222233334444, %%rsi\n"
				 "mov $0x8111222233334444, %%rdx\n"
				 "mov $0x9111222233334444, %%r8\n"
				 "mov $0xa111222233334444, %%r9\n"
				 "mov $0xb111222233334444, %%r10\n"
				 "mov $0xc111222233334444, %%rdi\n"
				 "syscall\n"
				 "1: xchg %%rdi, (%%rsp)\n"
				 "mov %%rbx, 0(%%rdi)\n"
				 "mov %%rbp, 8(%%rdi)\n"
				 "mov %%r12, 16(%%rdi)\n"
				 "mov %%r13, 24(%%rdi)\n"
				 "mov %%r14, 32(%%rdi)\n"
				 "mov %%r15, 40(%%rdi)\n"
				 "mov %%rsi, 48(%%rdi)\n"
				 "mov %%rdx, 56(%%rdi)\n"
				 "mov %%r8, 64(%%rdi)\n"
				 "mov %%r9, 72(%%rdi)\n"
				 "mov %%r10, 80(%%rdi)\n"
				 "pop 88(%%rdi)\n"
				 "mov %%rcx, 96(%%rdi)\n"
				 "lea 1b(%%rip), %%rcx\n"
				 "mov %%rcx, %%rsi\n"
				 "add $128, %%rsp\n"
				 "pop %%rbx\n"
				 "pop %%rbp\n"
				 : "=S"(address) : "D"(r), "a"(SYS_getpid)
				 : "rcx", "rdx", "r8", "r9", "r10", "r11", "r12", "r13", "r14",
				   "r15", "memory", "cc");
		CHECK_EQ(r[0], 0x1111222233334444);
		CHECK_EQ(r[1], 0x2111222233334444);
		CHECK_EQ(r[2], 0x3111222233334444);
		CHECK_EQ(r[3], 0x4111222233334444);
		CHECK_EQ(r[4], 0x5111222233334444);
		CHECK_EQ(r[5], 0x6111222233334444);
		CHECK_EQ(r[6], 0x7111222233334444);
		CHECK_EQ(r[7], 0x8111222233334444);
		CHECK_EQ(r[8], 0x9111222233334444);
		CHECK_EQ(r[9], 0xa111222233334444);
		CHECK_EQ(r[10], 0xb111222233334444);
		CHECK_EQ(r[11], 0xc111222233334444);
		/* What the instruction itself leaves in rcx: where it goes on. */
		CHECK_EQ(r[12], address);
	}
}

/* Flags that a call must preserve, and find in r11: carry, parity, zero, sign, direction... */
CASE(flags_across_calls)
{
	static const unsigned long sets[] = { 0x202, 0x203, 0x206, 0x212, 0x242, 0x282, 0x602,
					      0xa02, 0xed7 };
	size_t i;

	for (i = 0; i < sizeof(sets) / sizeof(*sets); i++) {
		unsigned long after, r11;
		long result;

		__asm__ volatile("sub $128, %%rsp\n"
				 "push %4\n"
				 "popfq\n"
				 "syscall\n"
				 "pushfq\n"
				 "cld\n"
				 "pop %1\n"
				 "mov %%r11, %2\n"
				 "add $128, %%rsp\n"
				 : "=a"(result), "=&r"(after), "=&r"(r11)
				 : "a"(SYS_getpid), "r"(sets[i])
				 : "rcx", "r11", "memory", "cc");
		CHECK_EQ(result, getpid());
		CHECK_EQ(after, sets[i]);
		CHECK_EQ(r11, sets[i]);
	}
}

static unsigned long flags_in_handler;

static void note_flags(int number, siginfo_t *info, void *context)
{
	(void)number;
	(void)info;
	(void)context;
	__asm__ volatile("sub $128, %%rsp\n"
			 "pushfq\n"
			 "pop %0\n"
			 "add $128, %%rsp\n" : "=r"(flags_in_handler) : : "memory", "cc");
}

CASE(direction_flag_and_handlers)
{
	unsigned long after;
	long result;

	handle(SIGUSR1, note_flags, 0);
	__asm__ volatile("sub $128, %%rsp\n"
			 "std\n"
			 "syscall\n"
			 "pushfq\n"
			 "cld\n"
			 "pop %1\n"
			 "add $128, %%rsp\n"
			 : "=a"(result), "=&r"(after)
			 : "a"(SYS_kill), "D"(getpid()), "S"(SIGUSR1)
			 : "rcx", "r11", "memory", "cc");
	CHECK_EQ(result, 0);
	CHECK_EQ(flags_in_handler & 0x400, 0);
	CHECK_EQ(after & 0x400, 0x400);
}

/* A leaf function may use 128 bytes below the stack pointer; nobody else may touch them. */
long red_zone_leaf(long number, long first, long second, long rounds);
__asm__(".pushsection .text\n"
	"red_zone_leaf:\n"
	"mov %rcx, %r9\n"
	"mov %rdi, %r8\n"
	"mov %rsi, %rdi\n"
	"mov %rdx, %rsi\n"
	"mov $16, %ecx\n"
	"1: mov $0x5aa5000000000000, %rdx\n"
	"or %rcx, %rdx\n"
	"neg %rcx\n"
	"mov %rdx, (%rsp,%rcx,8)\n"
	"neg %rcx\n"
	"dec %ecx\n"
	"jnz 1b\n"
	"2: test %r8, %r8\n"
	"js 3f\n"
	"mov %r8, %rax\n"
	"syscall\n"
	"3: dec %r9\n"
	"jnz 2b\n"
	"mov $16, %ecx\n"
	"4: mov $0x5aa5000000000000, %rdx\n"
	"or %rcx, %rdx\n"
	"neg %rcx\n"
	"mov (%rsp,%rcx,8), %rax\n"
	"neg %rcx\n"
	"cmp %rax, %rdx\n"
	"jne 5f\n"
	"dec %ecx\n"
	"jnz 4b\n"
	"xor %eax, %eax\n"
	"ret\n"
	"5: mov %ecx, %eax\n"
	"ret\n"
	".popsection\n");

CASE(red_zone_across_calls)
{
	struct timespec now;
	int i;

	for (i = 0; i < 300; i++) {
		CHECK_EQ(red_zone_leaf(SYS_getpid, 0, 0, 3), 0);
		CHECK_EQ(red_zone_leaf(SYS_sched_yield, 0, 0, 3), 0);
		CHECK_EQ(red_zone_leaf(SYS_clock_gettime, 1, (long)&now, 3), 0);
		CHECK_EQ(red_zone_leaf(100000, 0, 0, 1), 0);
	}
}

static void use_stack(int number, siginfo_t *info, void *context)
{
	volatile char room[4096];
	size_t i;

	(void)number;
	(void)info;
	(void)context;
	for (i = 0; i < sizeof(room); i++)
		room[i] = (char)i;
	caught++;
}

CASE(red_zone_across_signals)
{
	struct itimerval timer = { { 0, 1000 }, { 0, 1000 } };
	int64_t end = now_ns() + 1500000000;
	int i;

	handle(SIGUSR1, use_stack, 0);
	handle(SIGALRM, use_stack, 0);
	for (i = 0; i < 300; i++)
		CHECK_EQ(red_zone_leaf(SYS_kill, getpid(), SIGUSR1, 1), 0);
	CHECK_EQ(caught, 300);
	CHECK(!setitimer(ITIMER_REAL, &timer, NULL));
	while (now_ns() < end)
		CHECK_EQ(red_zone_leaf(-1, 0, 0, 1000000), 0);
	CHECK(caught > 350);
}

/* --- Segments and their bases --- */

CASE(segment_selectors)
{
	unsigned short ds, es, fs, gs, cs, ss;

	__asm__ volatile("mov %%ds, %0\n"
			 "mov %%es, %1\n"
			 "mov %%fs, %2\n"
			 "mov %%gs, %3\n"
			 "mov %%cs, %4\n"
			 "mov %%ss, %5\n"
			 : "=r"(ds), "=r"(es), "=r"(fs), "=r"(gs), "=r"(cs), "=r"(ss));
	CHECK_EQ(ds | es | fs | gs, 0);
	CHECK_EQ(cs, 0x33);
	CHECK_EQ(ss, 0x2b);
}

static unsigned long base(int which)
{
	unsigned long value;

	CHECK(!syscall(SYS_arch_prctl, which, &value));
	return value;
}

static void clear_gs(int number, siginfo_t *info, void *context)
{
	unsigned long kept = base(ARCH_GET_GS);

	(void)number;
	(void)info;
	(void)context;
	if (kept != 0x123456789000)
		fail("gs in the handler: %#lx", kept);
	caught++;
}

CASE(segment_bases)
{
	unsigned long fs = base(ARCH_GET_FS);
	unsigned long self;
	static unsigned long words[4] = { 0x1234, 0x5678, 0, 0 };

	__asm__ volatile("mov %%fs:0, %0" : "=r"(self));
	CHECK_EQ(fs, self);
	CHECK(!syscall(SYS_arch_prctl, ARCH_SET_GS, words));
	CHECK_EQ(base(ARCH_GET_GS), (unsigned long)words);
	__asm__ volatile("mov %%gs:8, %0" : "=r"(self));
	CHECK_EQ(self, 0x5678);
	CHECK(!syscall(SYS_arch_prctl, ARCH_SET_GS, 0x123456789000));
	handle(SIGUSR1, clear_gs, 0);
	raise(SIGUSR1);
	CHECK_EQ(caught, 1);
	syscall(SYS_sched_yield);
	CHECK_EQ(base(ARCH_GET_GS), 0x123456789000);
	join_child(fork() ?: (_exit(base(ARCH_GET_GS) != 0x123456789000), 0));
}

CASE(segment_bases_out_of_range)
{
	/* Not canonical, and behind the end of what programs have. */
	CHECK(syscall(SYS_arch_prctl, ARCH_SET_GS, 0x8000000000000000) < 0);
	CHECK_EQ(errno, EPERM);
	CHECK(syscall(SYS_arch_prctl, ARCH_SET_GS, 0xffffffff81000000) < 0);
	CHECK_EQ(errno, EPERM);
	CHECK(syscall(SYS_arch_prctl, ARCH_SET_FS, 0x8000000000000000) < 0);
	CHECK_EQ(errno, EPERM);
}

static void *mind_gs(void *argument)
{
	unsigned long mine = 0x10000000UL * (unsigned long)(uintptr_t)argument;
	int64_t end = now_ns() + 1000000000;
	volatile int i;

	CHECK(!syscall(SYS_arch_prctl, ARCH_SET_GS, mine));
	while (now_ns() < end) {
		for (i = 0; i < 100000; i++)
			;
		CHECK_EQ(base(ARCH_GET_GS), mine);
		sched_yield();
		CHECK_EQ(base(ARCH_GET_GS), mine);
	}
	return NULL;
}

CASE(segment_bases_of_threads)
{
	pthread_t threads[4];
	long i;
	int k;
	pid_t children[2];

	for (k = 0; k < 2; k++) {
		children[k] = fork();
		if (children[k])
			continue;
		for (i = 0; i < 4; i++)
			CHECK(!pthread_create(&threads[i], NULL, mind_gs,
					      (void *)(i + 1 + k * 10)));
		for (i = 0; i < 4; i++)
			pthread_join(threads[i], NULL);
		_exit(0);
	}
	for (k = 0; k < 2; k++)
		join_child(children[k]);
}

#ifndef HWCAP2_FSGSBASE
#define HWCAP2_FSGSBASE 2
#endif

static bool has_fsgsbase(void)
{
	return getauxval(AT_HWCAP2) & HWCAP2_FSGSBASE;
}

__attribute__((target("fsgsbase")))
static void write_bases(void)
{
	unsigned long fs = _readfsbase_u64();
	int64_t end = now_ns() + 500000000;
	long i;

	CHECK_EQ(fs, base(ARCH_GET_FS));
	for (i = 1; now_ns() < end; i++) {
		_writegsbase_u64(i << 12);
		syscall(SYS_getpid);
		CHECK_EQ(_readgsbase_u64(), i << 12);
		sched_yield();
		CHECK_EQ(_readgsbase_u64(), i << 12);
		CHECK_EQ(base(ARCH_GET_GS), i << 12);
		CHECK_EQ(_readfsbase_u64(), fs);
	}
}

CASE(instructions_that_write_segment_bases)
{
	pid_t children[3];
	int i;

	if (!has_fsgsbase())
		SKIP("the kernel does not offer FSGSBASE");
	for (i = 0; i < 3; i++) {
		children[i] = fork();
		if (!children[i]) {
			write_bases();
			_exit(0);
		}
	}
	for (i = 0; i < 3; i++)
		join_child(children[i]);
}
