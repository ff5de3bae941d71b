// SPDX-License-Identifier: Apache-2.0
/* Fuzzes the reader of tar streams. See README.md here. */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tarread.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct stream {
	const uint8_t *data;
	size_t left;
};

static ssize_t take(void *cookie, void *data, size_t size)
{
	struct stream *stream = cookie;

	/* Short reads are what a pipe gives. */
	if (size > 100)
		size = 100;
	if (size > stream->left)
		size = stream->left;
	memcpy(data, stream->data, size);
	stream->data += size;
	stream->left -= size;
	return (ssize_t)size;
}

static void check(const struct tar_reader *reader)
{
	const struct tar_entry *entry = &reader->entry;
	size_t touched = strlen(entry->name) + strlen(entry->target);
	uint64_t end = 0;

	for (uint32_t i = 0; i < reader->xattr_count; i++) {
		touched += strlen(reader->xattrs[i].name);
		for (size_t j = 0; j < reader->xattrs[i].size; j++)
			touched += reader->xattrs[i].value[j];
	}
	for (uint32_t i = 0; entry->pieces && i < entry->piece_count; i++) {
		if (entry->pieces[i].offset < end || entry->pieces[i].size > entry->size)
			abort();
		end = entry->pieces[i].offset + entry->pieces[i].size;
	}
	if (end > entry->size || entry->mode > 07777 || entry->mtime_ns > 999999999 || !*entry->name)
		abort();
	if (touched == (size_t)-1)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct stream stream = { data, size };
	struct tar_reader reader = { .read = take, .cookie = &stream };
	uint8_t scratch[64];
	int found;

	while ((found = tar_next(&reader)) > 0) {
		check(&reader);
		/* Some data is read, the rest skipped. */
		if (tar_data(&reader, scratch, sizeof(scratch)) < 0)
			break;
	}
	if (found < 0 && !reader.why)
		abort();
	tar_free(&reader);
	return 0;
}

#ifdef STANDALONE
int main(int argc, char **argv)
{
	static uint8_t data[1 << 20];
	FILE *file = argc > 1 ? fopen(argv[1], "rb") : stdin;
	size_t size = file ? fread(data, 1, sizeof(data), file) : 0;
	uint8_t *copy = malloc(size ? size : 1);

	/* Of exactly that size: an access behind it is seen. */
	memcpy(copy, data, size);
	LLVMFuzzerTestOneInput(copy, size);
	free(copy);
	return 0;
}
#endif
