// SPDX-License-Identifier: Apache-2.0
/* Memory: pages touched, mapped, protected, moved and copied. */
#include "figures.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define LARGE_BYTES (256UL << 20)
#define LARGE_PAGES (LARGE_BYTES / PAGE_BYTES)
#define COPIED_PAGES 512UL
#define RELEASED_PAGES 512UL
#define MOVED_BYTES (64UL << 10)

static char *map(size_t size)
{
	char *mapping = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (mapping == MAP_FAILED)
		fail("mmap");
	return mapping;
}

static void unmap(char *mapping, size_t size)
{
	if (munmap(mapping, size))
		fail("munmap");
}

/* Writes to every page, before anything is read of it; each must have been empty. */
static void touch(char *mapping, size_t pages)
{
	for (size_t page = 0; page < pages; page++) {
		volatile char *bytes = mapping + page * PAGE_BYTES;

		bytes[0] = 1;
		if (bytes[1]) {
			errno = EUCLEAN;
			fail("a fresh page is not empty");
		}
		bytes[1] = 1;
	}
}

static size_t at_most_large(uint64_t pages)
{
	return pages < LARGE_PAGES ? pages : LARGE_PAGES;
}

/* Whole passes through fresh mappings; a slow system gets through a part of one. */
static uint64_t run_touch(uint64_t count)
{
	uint64_t took_ns = 0;

	while (count) {
		size_t pages = at_most_large(count);
		uint64_t begin_ns = now_ns();
		char *mapping = map(LARGE_BYTES);

		touch(mapping, pages);
		took_ns += now_ns() - begin_ns;
		unmap(mapping, LARGE_BYTES);
		count -= pages;
	}
	return took_ns;
}

static uint64_t run_touch_again(uint64_t count)
{
	char *mapping = map(LARGE_BYTES);
	uint64_t begin_ns, took_ns;

	touch(mapping, at_most_large(count));
	begin_ns = now_ns();
	while (count) {
		size_t pages = at_most_large(count);

		if (madvise(mapping, LARGE_BYTES, MADV_DONTNEED))
			fail("madvise");
		touch(mapping, pages);
		count -= pages;
	}
	took_ns = now_ns() - begin_ns;
	unmap(mapping, LARGE_BYTES);
	return took_ns;
}

/* Steps of an odd length through a number of pages that is a power of two reach each page once. */
static uint64_t run_random(uint64_t count)
{
	const size_t step = 40503;
	uint64_t took_ns = 0;

	while (count) {
		size_t now = at_most_large(count);
		char *mapping = map(LARGE_BYTES);
		uint64_t begin_ns = now_ns();

		for (size_t i = 0; i < now; i++)
			mapping[i * step % LARGE_PAGES * PAGE_BYTES] = 1;
		took_ns += now_ns() - begin_ns;
		unmap(mapping, LARGE_BYTES);
		count -= now;
	}
	return took_ns;
}

static uint64_t run_release(uint64_t count)
{
	uint64_t took_ns = 0;

	while (count--) {
		char *mapping = map(RELEASED_PAGES * PAGE_BYTES);
		uint64_t begin_ns;

		touch(mapping, RELEASED_PAGES);
		begin_ns = now_ns();
		unmap(mapping, RELEASED_PAGES * PAGE_BYTES);
		took_ns += now_ns() - begin_ns;
	}
	return took_ns;
}

static uint64_t map_unmap(uint64_t count, size_t size)
{
	uint64_t begin_ns = now_ns();

	while (count--)
		unmap(map(size), size);
	return now_ns() - begin_ns;
}

static uint64_t run_map_4k(uint64_t count)
{
	return map_unmap(count, 4UL << 10);
}

static uint64_t run_map_64k(uint64_t count)
{
	return map_unmap(count, 64UL << 10);
}

static uint64_t run_map_1m(uint64_t count)
{
	return map_unmap(count, 1UL << 20);
}

static uint64_t run_map_touch_64k(uint64_t count)
{
	const size_t size = 64UL << 10;
	uint64_t begin_ns = now_ns();

	while (count--) {
		char *mapping = map(size);

		touch(mapping, size / PAGE_BYTES);
		unmap(mapping, size);
	}
	return now_ns() - begin_ns;
}

/* One page of three, there and back: the mapping is split and merged. */
static uint64_t run_protect(uint64_t count)
{
	char *mapping = map(3 * PAGE_BYTES);
	uint64_t begin_ns, took_ns;

	touch(mapping, 3);
	begin_ns = now_ns();
	for (uint64_t i = 0; i < count; i++)
		if (mprotect(mapping + PAGE_BYTES, PAGE_BYTES,
			     i % 2 ? PROT_READ | PROT_WRITE : PROT_READ))
			fail("mprotect");
	took_ns = now_ns() - begin_ns;
	unmap(mapping, 3 * PAGE_BYTES);
	return took_ns;
}

/* Moves touched pages between two places that are kept free for them. */
static uint64_t run_remap(uint64_t count)
{
	char *places = map(2 * MOVED_BYTES);
	uint64_t begin_ns, took_ns;

	touch(places, MOVED_BYTES / PAGE_BYTES);
	begin_ns = now_ns();
	for (uint64_t i = 0; i < count; i++) {
		char *from = places + i % 2 * MOVED_BYTES;
		char *to = places + (i + 1) % 2 * MOVED_BYTES;

		if (mremap(from, MOVED_BYTES, MOVED_BYTES, MREMAP_MAYMOVE | MREMAP_FIXED, to) != to)
			fail("mremap");
	}
	took_ns = now_ns() - begin_ns;
	if (places[count % 2 * MOVED_BYTES] != 1) {
		errno = EUCLEAN;
		fail("what was moved is gone");
	}
	unmap(places, 2 * MOVED_BYTES);
	return took_ns;
}

/* A child writes to pages that it shares with its parent; only the writing is timed. */
static uint64_t run_copy(uint64_t count)
{
	volatile uint64_t *took_ns = mmap(NULL, PAGE_BYTES, PROT_READ | PROT_WRITE,
					  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	char *mapping = map(COPIED_PAGES * PAGE_BYTES);
	uint64_t total_ns;

	if (took_ns == MAP_FAILED)
		fail("mmap");
	touch(mapping, COPIED_PAGES);
	while (count--) {
		pid_t child = fork();
		int status;

		if (child < 0)
			fail("fork");
		if (!child) {
			uint64_t begin_ns = now_ns();

			for (size_t page = 0; page < COPIED_PAGES; page++)
				mapping[page * PAGE_BYTES]++;
			*took_ns += now_ns() - begin_ns;
			_exit(mapping[0] == 2 ? EXIT_SUCCESS : EXIT_FAILURE);
		}
		if (waitpid(child, &status, 0) != child)
			fail("waitpid");
		if (status || mapping[0] != 1) {
			errno = EUCLEAN;
			fail("parent and child share what they must not");
		}
	}
	total_ns = *took_ns;
	munmap((void *)took_ns, PAGE_BYTES);
	unmap(mapping, COPIED_PAGES * PAGE_BYTES);
	return total_ns;
}

static struct figure figures[] = {
	{ "touch-256M", run_touch },
	{ "touch-again-256M", run_touch_again },
	{ "fault-random", run_random },
	{ "munmap-touched-page", run_release, RELEASED_PAGES },
	{ "mmap-munmap-4K", run_map_4k },
	{ "mmap-munmap-64K", run_map_64k },
	{ "mmap-munmap-1M", run_map_1m },
	{ "mmap-touch-munmap-64K", run_map_touch_64k },
	{ "mprotect", run_protect },
	{ "mremap-64K", run_remap },
	{ "copy-on-write", run_copy, COPIED_PAGES },
};

int main(void)
{
	return serve(figures, sizeof(figures) / sizeof(figures[0]));
}
