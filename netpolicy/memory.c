// SPDX-License-Identifier: Apache-2.0
/*
 * passt fills tables for many thousands of packets and ports before it begins:
 * 20 MB, of which most are zeros, and nearly all others the same in each of them.
 * So
 *
 * - a page of zeros is given back: it is there again when somebody touches it;
 * - a page that is like the one in a file which the first passt has written is
 *   mapped from there, privately: whoever writes to it gets a copy, and all others
 *   are one page of the host's cache.
 *
 * The file has all pages of the tables, those of zeros as holes, and behind them a
 * byte for each page: whether it has anything. What differs stays as it was, so a
 * file that is not right costs memory and nothing else.
 */
#define _GNU_SOURCE
#include "memory.h"

#include <link.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define PAGE		4096UL
#define GAP_MAX		32UL			/* pages between two that are mapped together */
#define STACK_MAX	(8UL << 20)		/* as far down as it may have been used */
#define STACK_KEPT	(32UL << 10)

struct range {
	char *start;
	size_t pages;
};

/* What the program has beyond the contents of its file; the first object is the program */
static int find_tables(struct dl_phdr_info *object, size_t size, void *data)
{
	struct range *range = data;
	int i;

	(void)size;
	for (i = 0; i < object->dlpi_phnum; i++) {
		const Elf64_Phdr *segment = &object->dlpi_phdr[i];
		uintptr_t start = object->dlpi_addr + segment->p_vaddr;
		uintptr_t end = (start + segment->p_memsz) & -PAGE;

		start = (start + segment->p_filesz + PAGE - 1) & -PAGE;
		if (segment->p_type == PT_LOAD && (segment->p_flags & PF_W) && start < end) {
			range->start = (char *)start;
			range->pages = (end - start) / PAGE;
		}
	}
	return 1;
}

static struct range tables(void)
{
	struct range range = { 0 };

	dl_iterate_phdr(find_tables, &range);
	return range;
}

/*
 * A byte for each page: whether it holds anything but zeros. Only pages that are
 * there are looked at: a look would make the others.
 */
static uint8_t *find_used(const struct range *range)
{
	uint8_t *used = range->pages ? malloc(range->pages) : NULL;
	size_t i;

	if (!used || mincore(range->start, range->pages * PAGE, used)) {
		free(used);
		return NULL;
	}
	for (i = 0; i < range->pages; i++) {
		const char *page = range->start + i * PAGE;

		used[i] = (used[i] & 1) && (*page || memcmp(page, page + 1, PAGE - 1));
	}
	return used;
}

void memory_record(int file)
{
	const struct range range = tables();
	uint8_t *used;
	off_t at = 0;
	size_t i;

	if (file < 0 || lseek(file, 0, SEEK_END))
		return;
	used = find_used(&range);
	for (i = 0; used && i < range.pages && at >= 0; i++, at += PAGE)
		if (used[i] && pwrite(file, range.start + i * PAGE, PAGE, at) != (ssize_t)PAGE)
			at = -1;
	/* Behind a file that is not whole there is nothing: it is of no use */
	if (used && at >= 0 && pwrite(file, used, range.pages, at) < 0)
		at = -1;
	free(used);
}

static void release_zeros(const struct range *range, const uint8_t *used)
{
	size_t first = 0, i;

	for (i = 0; i <= range->pages; i++) {
		if (i < range->pages && !used[i])
			continue;
		if (i > first)
			madvise(range->start + first * PAGE, (i - first) * PAGE, MADV_DONTNEED);
		first = i + 1;
	}
}

/*
 * Puts the file's pages there instead of as many of the program's own; those that
 * differ are written again.
 */
static void replace(const struct range *part, const uint8_t *shared, const uint8_t *used,
		    const uint8_t *filled, int file, off_t offset)
{
	const size_t size = part->pages * PAGE;
	char *own = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	size_t i;

	if (own == MAP_FAILED)
		return;
	for (i = 0; i < part->pages; i++)
		if (used[i] && !shared[i])
			memcpy(own + i * PAGE, part->start + i * PAGE, PAGE);
	if (mmap(part->start, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED, file,
		 offset) != MAP_FAILED)
		for (i = 0; i < part->pages; i++)
			if (!shared[i] && (used[i] || filled[i]))
				memcpy(part->start + i * PAGE, own + i * PAGE, PAGE);
	munmap(own, size);
}

/* Where the next part ends that begins at @first: behind a shared page, before a large gap */
static size_t part_end(const uint8_t *shared, size_t first, size_t pages)
{
	size_t end = first, i;

	for (i = first; i < pages && i <= end + GAP_MAX; i++)
		if (shared[i])
			end = i + 1;
	return end;
}

/* @like: what the file holds, and behind it what is filled of that */
static void share(const struct range *range, const uint8_t *used, const char *like, int file)
{
	const uint8_t *filled = (const uint8_t *)like + range->pages * PAGE;
	uint8_t *shared = malloc(range->pages);
	size_t i, end;

	for (i = 0; shared && i < range->pages; i++)
		shared[i] = used[i] && filled[i] &&
			    !memcmp(range->start + i * PAGE, like + i * PAGE, PAGE);
	for (i = 0; shared && i < range->pages; i = end) {
		end = i + 1;
		if (!shared[i])
			continue;
		end = part_end(shared, i, range->pages);
		replace(&(struct range){ range->start + i * PAGE, end - i }, shared + i, used + i,
			filled + i, file, i * PAGE);
	}
	free(shared);
}

static void share_tables(const struct range *range, const uint8_t *used, int file)
{
	const size_t size = range->pages * (PAGE + 1);
	struct stat status;
	char *like;

	if (file < 0 || fstat(file, &status) || status.st_size != (off_t)size)
		return;
	like = mmap(NULL, size, PROT_READ, MAP_SHARED, file, 0);
	if (like == MAP_FAILED)
		return;
	share(range, used, like, file);
	munmap(like, size);
}

/* main() has large tables on the stack; what its callees have left below is not needed */
static void release_stack(void)
{
	const uintptr_t here = (uintptr_t)__builtin_frame_address(0) & -PAGE;
	const struct range above = {
		(char *)here + PAGE, ((uintptr_t)environ - here) / PAGE - 1,
	};
	uint8_t *used;

	/* Most of it is not mapped, which is told, and of no harm */
	madvise((char *)here - STACK_KEPT - STACK_MAX, STACK_MAX, MADV_DONTNEED);
	used = above.pages < STACK_MAX / PAGE ? find_used(&above) : NULL;
	if (used)
		release_zeros(&above, used);
	free(used);
}

void memory_settle(int file)
{
	const struct range range = tables();
	uint8_t *used = find_used(&range);

	if (used) {
		release_zeros(&range, used);
		share_tables(&range, used, file);
	}
	free(used);
	release_stack();
}
