// SPDX-License-Identifier: Apache-2.0
/* Memory: mappings at every address, protection, what is shared and what is not. */
#define _GNU_SOURCE
#include "check.h"

#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/uio.h>

#define PAGE 4096UL
#define MIB (1024UL * 1024)
#define GIB (1024 * MIB)

#ifndef MAP_FIXED_NOREPLACE
#define MAP_FIXED_NOREPLACE 0x100000
#endif

static void *map(size_t length, int protection)
{
	void *found = mmap(NULL, length, protection, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	CHECK(found != MAP_FAILED);
	return found;
}

/* Maps a page at an address, uses it, unmaps it; an error is fine, junk is not. */
static bool use_address(unsigned long address, bool replace)
{
	int flags = MAP_PRIVATE | MAP_ANONYMOUS | (replace ? MAP_FIXED : MAP_FIXED_NOREPLACE);
	long *place = mmap((void *)address, PAGE, PROT_READ | PROT_WRITE | PROT_EXEC, flags, -1,
			   0);
	static const unsigned char code[] = { 0xb8, 39, 0, 0, 0, 0x0f, 0x05, 0xc3 };
	long k;

	if (place == MAP_FAILED) {
		CHECK(errno == EPERM || errno == EINVAL || errno == ENOMEM || errno == EEXIST);
		return false;
	}
	CHECK_EQ((long)place, address);
	for (k = 0; k < 512; k++)
		CHECK_EQ(place[k], 0);
	for (k = 0; k < 512; k++)
		place[k] = (long)address + k;
	for (k = 0; k < 512; k++)
		CHECK_EQ(place[k], (long)address + k);
	memcpy(place, code, sizeof(code));
	CHECK_EQ(((long (*)(void))place)(), getpid());
	CHECK(!munmap(place, PAGE));
	return true;
}

CASE(the_page_at_zero)
{
	/* Root may have it, where vm.mmap_min_addr or a capability allows that. */
	pid_t child = fork();

	if (!child) {
		use_address(0, true);
		_exit(0);
	}
	join_child(child);
}

CASE(all_of_the_lowest_4_gib)
{
	/* Steps that are no power of two, so that all offsets come up; nothing is replaced. */
	unsigned long address;
	long good = 0, bad = 0;

	for (address = PAGE; address < 4 * GIB; address += 0x25b000) {
		if (use_address(address, false))
			good++;
		else
			bad++;
	}
	CHECK(good > 1500);
}

CASE(all_of_the_lowest_4_gib_replaced)
{
	/* MAP_FIXED over whatever is there, in a process whose program is far above. */
	unsigned long address, here = (unsigned long)&main;

	if (here < 4 * GIB)
		SKIP("the program itself is in the lowest 4 GiB");
	for (address = PAGE; address < 4 * GIB; address += 0x101000)
		use_address(address, true);
	CHECK_EQ(getpid(), syscall(SYS_getpid));
}

CASE(the_lowest_4_gib_at_once)
{
	/* In large pieces, and touched here and there. */
	unsigned long address, offset;
	pid_t child = fork();

	if (child) {
		join_child(child);
		return;
	}
	for (address = 64 * 1024; address < 4 * GIB; address += 64 * MIB) {
		char *place = mmap((void *)address, 64 * MIB, PROT_READ | PROT_WRITE,
				   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE |
				   MAP_FIXED_NOREPLACE, -1, 0);

		if (place == MAP_FAILED)
			continue;
		for (offset = 0; offset < 64 * MIB; offset += 8 * MIB)
			place[offset] = (char)(offset >> 20);
		for (offset = 0; offset < 64 * MIB; offset += 8 * MIB)
			CHECK_EQ(place[offset], (char)(offset >> 20));
		CHECK_EQ(syscall(SYS_getppid), getppid());
	}
	_exit(0);
}

CASE(every_power_of_two)
{
	int bit;
	long delta;

	for (bit = 13; bit < 64; bit++)
		for (delta = bit == 13 ? -1 : -2; delta <= 2; delta++)
			use_address((1UL << bit) + delta * (long)PAGE, false);
}

CASE(around_the_end_of_user_space)
{
	static const unsigned long places[] = {
		0x7fc000000000, 0x7fe000000000, 0x7ff000000000, 0x7fff00000000, 0x7ffff0000000,
		0x7fffff000000, 0x7ffffffdf000, 0x7ffffffef000, 0x7ffffffff000, 0x800000000000,
		0x3fffffff0000, 0x400000000000, 0xffffffffff600000, 0xffff800000000000,
		0xffffffffffff0000,
	};
	size_t i;
	long delta;

	for (i = 0; i < sizeof(places) / sizeof(*places); i++)
		for (delta = -8; delta <= 8; delta++)
			use_address(places[i] + delta * (long)PAGE, false);
}

/* Reads /proc/self/maps; the ranges that this program needs are kept. */
static int foreign_ranges(unsigned long ranges[][2], int most)
{
	FILE *file = fopen("/proc/self/maps", "r");
	char line[512];
	int count = 0;
	unsigned long last = 0;

	CHECK(file);
	while (fgets(line, sizeof(line), file) && count < most) {
		unsigned long begin, end;

		CHECK_EQ(sscanf(line, "%lx-%lx", &begin, &end), 2);
		if (strstr(line, "[vsyscall]"))
			continue;
		if (begin > last) {
			ranges[count][0] = last;
			ranges[count++][1] = begin;
		}
		last = end;
	}
	fclose(file);
	ranges[count][0] = last;
	ranges[count++][1] = 0x7ffffffff000;
	return count;
}

static unsigned long ranges[256][2];

CASE(nothing_is_hidden_between_mappings)
{
	/* What /proc/self/maps does not tell cannot be read. */
	int count = foreign_ranges(ranges, 200), i, k;
	int fds[2];

	CHECK(!pipe(fds));
	for (i = 0; i < count; i++) {
		unsigned long length = ranges[i][1] - ranges[i][0];

		/* The stack may grow: the page below it counts as its own. */
		for (k = 0; k < 64; k++) {
			unsigned long address = ranges[i][0] + length / 64 / PAGE * PAGE * k;

			if (address >= ranges[i][1])
				continue;
			if (write(fds[1], (void *)address, 1) >= 0)
				fail("%#lx can be read", address);
			CHECK_EQ(errno, EFAULT);
		}
	}
}

CASE(unmapping_all_that_is_not_there)
{
	int count = foreign_ranges(ranges, 200), i;

	for (i = 0; i < count; i++) {
		void *begin = (void *)ranges[i][0];
		size_t length = ranges[i][1] - ranges[i][0];

		munmap(begin, length);
		mprotect(begin, length, PROT_NONE);
		madvise(begin, length, MADV_DONTNEED);
		mprotect(begin, length, PROT_READ | PROT_WRITE | PROT_EXEC);
		msync(begin, length, MS_SYNC);
		mlock(begin, PAGE);
		mremap(begin, PAGE, 2 * PAGE, MREMAP_MAYMOVE);
		CHECK_EQ(syscall(SYS_getpid), getpid());
	}
	munmap(NULL, 64 * 1024);
	CHECK_EQ(syscall(SYS_getpid), getpid());
}

CASE(unmapping_everything)
{
	/* The program goes with its memory; whatever runs it must not. */
	pid_t child = fork();

	if (!child) {
		unsigned long end = 0x7ffffffff000;

		/* Where user space ends is not the same everywhere. */
		while (syscall(SYS_munmap, 0, end))
			end -= GIB;
		_exit(1);
	}
	join_killed(child, SIGSEGV);
	child = fork();
	if (!child) {
		syscall(SYS_mprotect, ranges, 0x1000, 0);
		syscall(SYS_munmap, (unsigned long)&main & ~(PAGE - 1), 16 * PAGE);
		_exit(1);
	}
	join_killed(child, SIGSEGV);
}

CASE(replacing_all_memory)
{
	/* One mapping over all that can be mapped, code and stack included. */
	static const unsigned long ends[] = { 0x7ffffffff000, 0x7fc000000000, 0x3fffffff0000 };
	size_t i;

	for (i = 0; i < 3; i++) {
		pid_t child = fork();
		int status;

		if (!child) {
			mmap((void *)0x10000, ends[i] - 0x10000, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0);
			_exit(3); /* refused */
		}
		CHECK_EQ(waitpid(child, &status, 0), child);
		CHECK(WIFSIGNALED(status) || WEXITSTATUS(status) == 3);
	}
}

CASE(a_tebibyte_of_nothing)
{
	char *place = mmap(NULL, 1024 * GIB, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	unsigned long offset;

	CHECK(place != MAP_FAILED);
	for (offset = 0; offset < 1024 * GIB; offset += GIB)
		place[offset + offset / GIB] = 7;
	for (offset = 0; offset < 1024 * GIB; offset += GIB)
		CHECK_EQ(place[offset + offset / GIB], 7);
	CHECK(!munmap(place, 1024 * GIB));
}

CASE(as_many_mappings_as_there_may_be)
{
	/* Alternating protection: no two become one. Then an error, and all goes on. */
	const long most = 80000;
	char *place = mmap(NULL, most * PAGE, PROT_NONE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	long i;

	CHECK(place != MAP_FAILED);
	for (i = 0; i < most; i += 2)
		if (mprotect(place + i * PAGE, PAGE, PROT_READ | PROT_WRITE))
			break;
	if (i < most)
		CHECK_EQ(errno, ENOMEM);
	CHECK(i > 60000);
	place[0] = 1;
	place[(i - 2) * PAGE] = 2;
	CHECK_EQ(place[0] + place[(i - 2) * PAGE], 3);
	CHECK(!munmap(place, most * PAGE));
	free(malloc(1 << 20));
}

CASE(many_mappings_that_are_used)
{
	/* Each page its own mapping, and each touched: 20 000 of them. */
	const long count = 20000;
	char *place = map(2 * count * PAGE, PROT_NONE);
	long i;

	for (i = 0; i < count; i++) {
		CHECK(!mprotect(place + 2 * i * PAGE, PAGE, PROT_READ | PROT_WRITE));
		*(long *)(place + 2 * i * PAGE) = i;
	}
	for (i = 0; i < count; i++)
		CHECK_EQ(*(long *)(place + 2 * i * PAGE), i);
	CHECK(!munmap(place, 2 * count * PAGE));
}

CASE(protection_changes)
{
	unsigned int seed = 1;
	char *place = map(64 * PAGE, PROT_READ | PROT_WRITE);
	int fds[2], state[64], i;
	char byte = 'x';

	CHECK(!pipe(fds));
	for (i = 0; i < 64; i++)
		state[i] = PROT_READ | PROT_WRITE;
	for (i = 0; i < 5000; i++) {
		int page, protection;

		seed = seed * 1103515245 + 12345;
		page = (seed >> 8) % 64;
		protection = (seed >> 20) % 3 == 0 ? PROT_NONE :
			     (seed >> 20) % 3 == 1 ? PROT_READ : PROT_READ | PROT_WRITE;
		CHECK(!mprotect(place + page * PAGE, PAGE, protection));
		state[page] = protection;
		page = (seed >> 14) % 64;
		/* The kernel's own view first: it must not write where the program may not. */
		errno = 0;
		CHECK_EQ(write(fds[1], place + page * PAGE, 1), state[page] & PROT_READ ? 1 : -1);
		if (!(state[page] & PROT_READ)) {
			CHECK_EQ(errno, EFAULT);
			CHECK_EQ(write(fds[1], &byte, 1), 1);
		}
		CHECK_EQ(read(fds[0], place + page * PAGE, 1), state[page] & PROT_WRITE ? 1 : -1);
		if (!(state[page] & PROT_WRITE))
			CHECK_EQ(read(fds[0], &byte, 1), 1);
	}
}

#define TABLE (512 * PAGE)

/* Two megabytes, so aligned, with nothing else in what a page table spans */
static char *own_table(void)
{
	char *place = map(3 * TABLE, PROT_NONE);
	char *start = (char *)(((unsigned long)place + TABLE - 1) & ~(TABLE - 1UL));

	CHECK(!munmap(place, 3 * TABLE));
	CHECK(mmap(start, TABLE, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0) == start);
	return start;
}

static sigjmp_buf faulted;

static void on_fault(int sig)
{
	siglongjmp(faulted, sig);
}

static bool can_read(const char *place)
{
	volatile bool done = false;

	signal(SIGSEGV, on_fault);
	if (!sigsetjmp(faulted, 1)) {
		(void)*(volatile const char *)place;
		done = true;
	}
	signal(SIGSEGV, SIG_DFL);
	return done;
}

/* What was unmapped in pieces, with the table that held it */
CASE(nothing_stays_of_a_page_table)
{
	int round;

	for (round = 0; round < 20; round++) {
		char *place = own_table();

		CHECK(!mprotect(place + TABLE / 2, PAGE, PROT_READ));
		place[0] = 'a';
		place[TABLE / 4 * 3] = 'b';
		CHECK(!munmap(place, TABLE));
		CHECK(!can_read(place) && !can_read(place + TABLE / 4 * 3));
	}
}

/* A table that takes the place of one, before anybody has run */
CASE(nothing_stays_of_a_page_table_that_is_replaced)
{
	char *place = own_table();
	size_t i;

	memset(place, 'x', TABLE);
	CHECK(mmap(place, TABLE, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_POPULATE, -1, 0) == place);
	for (i = 0; i < TABLE; i += PAGE)
		CHECK_EQ(place[i], 0);
	memset(place, 'x', TABLE);
	{
		char *source = map(TABLE, PROT_READ | PROT_WRITE);

		source[7 * PAGE] = 's';
		CHECK(mremap(source, TABLE, TABLE, MREMAP_MAYMOVE | MREMAP_FIXED, place) == place);
		for (i = 0; i < TABLE; i += PAGE)
			CHECK_EQ(place[i], i == 7 * PAGE ? 's' : 0);
	}
}

CASE(dontneed_gives_zeros)
{
	long *place = map(64 * PAGE, PROT_READ | PROT_WRITE), i, round;

	for (round = 0; round < 100; round++) {
		for (i = 0; i < 64 * 512; i += 64)
			place[i] = i + round;
		CHECK(!madvise(place, 32 * PAGE, MADV_DONTNEED));
		for (i = 0; i < 32 * 512; i += 64)
			CHECK_EQ(place[i], 0);
		for (; i < 64 * 512; i += 64)
			CHECK_EQ(place[i], i + round);
	}
}

CASE(mremap_grows_moves_and_shrinks)
{
	char *place = map(PAGE, PROT_READ | PROT_WRITE);
	size_t length = PAGE, i;

	memset(place, 1, PAGE);
	for (i = 2; i < 200; i++) {
		char *moved = mremap(place, length, i * PAGE, MREMAP_MAYMOVE);

		CHECK(moved != MAP_FAILED);
		place = moved;
		CHECK_EQ(place[(i - 1) * PAGE], 0);
		CHECK_EQ(place[(i - 2) * PAGE], (char)(i - 1));
		memset(place + (i - 1) * PAGE, (char)i, PAGE);
		length = i * PAGE;
	}
	for (i = 1; i < 200; i++)
		CHECK_EQ(place[(i - 1) * PAGE + 77], (char)i);
	CHECK(mremap(place, length, PAGE, 0) == place);
	CHECK_EQ(place[77], 1);
}

CASE(files_are_shared)
{
	char name[] = "/tmp/shared.XXXXXX";
	int fd = mkstemp(name), i;
	long *first, *second, value;

	unlink(name);
	CHECK(!ftruncate(fd, 16 * PAGE));
	first = mmap(NULL, 16 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	second = mmap(NULL, 16 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	CHECK(first != MAP_FAILED && second != MAP_FAILED);
	for (i = 0; i < 2000; i++) {
		long offset = i * 7919 % (16 * 512);

		first[offset] = i;
		CHECK_EQ(second[offset], i);
		CHECK_EQ(pread(fd, &value, 8, offset * 8), 8);
		CHECK_EQ(value, i);
		value = i + 100000;
		CHECK_EQ(pwrite(fd, &value, 8, offset * 8), 8);
		CHECK_EQ(first[offset], i + 100000);
	}
	if (!fork()) {
		first[0] = 4711;
		_exit(0);
	}
	wait(NULL);
	CHECK_EQ(second[0], 4711);
}

CASE(private_files_are_not)
{
	char name[] = "/tmp/private.XXXXXX", text[8] = "";
	int fd = mkstemp(name);
	char *place;

	unlink(name);
	CHECK_EQ(write(fd, "before", 6), 6);
	place = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	CHECK(!memcmp(place, "before", 7));
	memcpy(place, "after", 6);
	CHECK_EQ(pread(fd, text, 6, 0), 6);
	CHECK(!memcmp(text, "before", 6));
	join_child(fork() ?: (_exit(strcmp(place, "after")), 0));
}

CASE(stacks_grow)
{
	/* 7 MiB of an 8 MiB stack, a page at a time. */
	volatile char *here = (volatile char *)__builtin_frame_address(0);
	unsigned long offset;
	struct rlimit limit;

	CHECK(!getrlimit(RLIMIT_STACK, &limit));
	if (limit.rlim_cur < 8 * MIB)
		SKIP("the stack may have less than 8 MiB");
	__asm__ volatile("" : "+r"(here));
	for (offset = 0; offset < 7 * MIB; offset += PAGE)
		here[-(long)offset - 8192] = 1;
}

CASE(brk_grows_and_shrinks)
{
	char *begin = sbrk(0);
	int i;

	for (i = 1; i < 50; i++) {
		char *old = sbrk(100000);

		CHECK(old != (void *)-1);
		memset(old, i, 100000);
	}
	for (i = 1; i < 50; i++)
		CHECK_EQ(begin[(i - 1) * 100000L + 500], i);
	CHECK(!brk(begin));
	CHECK(sbrk(100000) != (void *)-1);
	CHECK_EQ(begin[500 + PAGE], 0);
}

CASE(memory_of_other_processes)
{
	long value = 0;
	static long theirs = 1;
	struct iovec local = { &value, 8 }, remote = { &theirs, 8 };
	pid_t child = fork();
	int i;

	if (!child) {
		theirs = 4711;
		for (;;)
			pause();
	}
	for (i = 0; i < 1000 && value != 4711; i++) {
		CHECK_EQ(process_vm_readv(child, &local, 1, &remote, 1, 0), 8);
		sleep_ms(1);
	}
	CHECK_EQ(value, 4711);
	value = 4712;
	CHECK_EQ(process_vm_writev(child, &local, 1, &remote, 1, 0), 8);
	value = 0;
	CHECK_EQ(process_vm_readv(child, &local, 1, &remote, 1, 0), 8);
	CHECK_EQ(value, 4712);
	remote.iov_base = (void *)8;
	CHECK_EQ(process_vm_readv(child, &local, 1, &remote, 1, 0), -1);
	CHECK_EQ(errno, EFAULT);
	kill(child, SIGKILL);
}

/* --- userfaultfd --- */

static char *fault_area;
#define FAULT_PAGES 256

static void *serve_faults(void *argument)
{
	int fd = (int)(long)argument;
	static char page[PAGE] __attribute__((aligned(4096)));
	int i;

	for (i = 0; i < FAULT_PAGES; i++) {
		struct pollfd entry = { .fd = fd, .events = POLLIN };
		struct uffd_msg message;
		struct uffdio_copy copy;

		CHECK(poll(&entry, 1, 10000) == 1);
		CHECK_EQ(read(fd, &message, sizeof(message)), sizeof(message));
		CHECK_EQ(message.event, UFFD_EVENT_PAGEFAULT);
		memset(page, (int)((message.arg.pagefault.address - (long)fault_area) / PAGE),
		       PAGE);
		copy = (struct uffdio_copy){ .dst = message.arg.pagefault.address & ~(PAGE - 1),
					     .src = (unsigned long)page, .len = PAGE };
		CHECK(!ioctl(fd, UFFDIO_COPY, &copy));
	}
	return NULL;
}

CASE(userfaultfd)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register area;
	pthread_t thread;
	int fd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK), i;

	if (fd < 0 && errno == EPERM)
		fd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK | UFFD_USER_MODE_ONLY);
	if (fd < 0)
		SKIP("there is no userfaultfd");
	CHECK(!ioctl(fd, UFFDIO_API, &api));
	fault_area = map(FAULT_PAGES * PAGE, PROT_READ | PROT_WRITE);
	area = (struct uffdio_register){
		.range = { (unsigned long)fault_area, FAULT_PAGES * PAGE },
		.mode = UFFDIO_REGISTER_MODE_MISSING,
	};
	CHECK(!ioctl(fd, UFFDIO_REGISTER, &area));
	CHECK(!pthread_create(&thread, NULL, serve_faults, (void *)(long)fd));
	for (i = 0; i < FAULT_PAGES; i++) {
		int page = i * 37 % FAULT_PAGES;

		CHECK_EQ(fault_area[page * PAGE + 123], (char)page);
	}
	CHECK(!pthread_join(thread, NULL));
}

/* --- Little memory --- */

CASE(address_space_limit)
{
	struct rlimit limit = { 200 * MIB, 200 * MIB };
	long total = 0;

	CHECK(!setrlimit(RLIMIT_AS, &limit));
	while (mmap(NULL, MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) !=
	       MAP_FAILED)
		total++;
	CHECK_EQ(errno, ENOMEM);
	CHECK(total > 50 && total < 200);
}

CASE(all_memory_comes_and_goes)
{
	/* 100 MiB twenty times, by fork, mmap and malloc: what is freed can be had again. */
	int i;

	for (i = 0; i < 20; i++) {
		pid_t child = fork();

		if (!child) {
			char *place = i % 2 ? malloc(100 * MIB) :
				      map(100 * MIB, PROT_READ | PROT_WRITE);
			unsigned long offset;

			CHECK(place);
			for (offset = 0; offset < 100 * MIB; offset += PAGE)
				place[offset] = 1;
			_exit(0);
		}
		join_child(child);
	}
}

CASE(taking_all_memory)
{
	if (!count_of("ALL_MEMORY", 0))
		SKIP("takes all the memory there is: set CONFORMANCE_ALL_MEMORY to try it");
	for (;;) {
		char *place = mmap(NULL, MIB, PROT_READ | PROT_WRITE,
				   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

		if (place != MAP_FAILED)
			memset(place, 1, MIB);
	}
}
