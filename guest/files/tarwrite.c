// SPDX-License-Identifier: Apache-2.0
/*
 * Writes the headers of a tar stream: ustar, with PAX records for what does not
 * fit. Names go as the bytes that they are, UTF-8 or not; sparse files in GNU's
 * PAX form 1.0.
 */
#define _GNU_SOURCE
#include "tarwrite.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "out.h"

/* Largest values of octal fields of 8 and 12 bytes. */
#define SMALL_MOST	07777777u
#define LARGE_MOST	077777777777ull

static char *records;
static size_t records_used;
static size_t records_space;

static char *grow(size_t size)
{
	if (records_space - records_used < size) {
		records_space = (records_used + size) * 2;
		records = realloc(records, records_space);
		if (!records)
			abort();
	}
	records_used += size;
	return records + records_used - size;
}

/* "LENGTH KEY=VALUE\n", where LENGTH counts itself. */
static void put_record(const char *key, const void *value, size_t size)
{
	size_t bare = strlen(key) + size + 3;	/* space, '=', newline */
	size_t length = bare + 1;
	char digits[24];
	char *at;

	for (;;) {
		size_t whole = bare + (size_t)snprintf(digits, sizeof(digits), "%zu", length);

		if (whole == length)
			break;
		length = whole;
	}
	at = grow(length);
	at = stpcpy(at, digits);
	*at++ = ' ';
	at = stpcpy(at, key);
	*at++ = '=';
	if (size)
		memcpy(at, value, size);
	at[size] = '\n';
}

static void put_text(const char *key, const char *text)
{
	put_record(key, text, strlen(text));
}

static void put_number(const char *key, uint64_t number)
{
	char text[24];

	snprintf(text, sizeof(text), "%llu", (unsigned long long)number);
	put_text(key, text);
}

void tar_put_xattr(const char *name, const void *value, size_t size)
{
	char key[300];

	snprintf(key, sizeof(key), "SCHILY.xattr.%s", name);
	put_record(key, value, size);
}

static void put_time(const struct tar_entry *entry)
{
	char text[48];
	int64_t seconds = entry->mtime;
	uint32_t ns = entry->mtime_ns;
	const char *sign = "";

	/* -1.25 s is second -2 and 750 000 000 ns. */
	if (seconds < 0) {
		sign = "-";
		seconds = -seconds;
		if (ns) {
			seconds--;
			ns = 1000000000u - ns;
		}
	}
	snprintf(text, sizeof(text), "%s%lld.%09u", sign, (long long)seconds, ns);
	put_text("mtime", text);
}

/* As many digits as the field has, and a NUL. */
static void octal(char *field, size_t size, uint64_t value)
{
	field[size - 1] = 0;
	while (--size) {
		field[size - 1] = '0' + (char)(value & 7);
		value >>= 3;
	}
}

static void put_header(char type, const char *name, const char *target, uint64_t size,
		       const struct tar_entry *entry)
{
	struct tar_header header;
	unsigned int sum = 0;

	memset(&header, 0, sizeof(header));
	/* A name may fill its field, with no NUL behind it. */
	memcpy(header.name, name, strnlen(name, sizeof(header.name)));
	memcpy(header.target, target, strnlen(target, sizeof(header.target)));
	header.type = type;
	memcpy(header.magic, "ustar", 6);
	memcpy(header.version, "00", 2);
	octal(header.mode, sizeof(header.mode), entry->mode);
	octal(header.uid, sizeof(header.uid), entry->uid <= SMALL_MOST ? entry->uid : 0);
	octal(header.gid, sizeof(header.gid), entry->gid <= SMALL_MOST ? entry->gid : 0);
	octal(header.size, sizeof(header.size), size <= LARGE_MOST ? size : 0);
	octal(header.mtime, sizeof(header.mtime),
	      entry->mtime >= 0 && (uint64_t)entry->mtime <= LARGE_MOST ? (uint64_t)entry->mtime : 0);
	octal(header.major, sizeof(header.major), entry->major & SMALL_MOST);
	octal(header.minor, sizeof(header.minor), entry->minor & SMALL_MOST);
	memset(header.checksum, ' ', sizeof(header.checksum));
	for (size_t i = 0; i < sizeof(header); i++)
		sum += ((const uint8_t *)&header)[i];
	octal(header.checksum, 7, sum);
	out_put(&header, sizeof(header));
}

void tar_put_padding(uint64_t size)
{
	out_zeros((TAR_BLOCK - size % TAR_BLOCK) % TAR_BLOCK);
}

/* The map of a sparse file: numbers, a line each. */
static char *make_map(const struct tar_entry *entry, size_t *size)
{
	char *map = malloc(24 + 48 * (size_t)entry->piece_count);
	int used;

	if (!map)
		abort();
	used = sprintf(map, "%u\n", entry->piece_count);
	for (uint32_t i = 0; i < entry->piece_count; i++)
		used += sprintf(map + used, "%llu\n%llu\n",
				(unsigned long long)entry->pieces[i].offset,
				(unsigned long long)entry->pieces[i].size);
	*size = (size_t)used;
	return map;
}

void tar_put_entry(const struct tar_entry *entry)
{
	static const struct tar_entry plain = { .mode = 0644 };
	uint64_t stored = entry->type == TAR_FILE ? entry->size : 0;
	const char *name = entry->name;
	size_t map_size = 0;
	char *map = NULL;

	if (entry->pieces) {
		map = make_map(entry, &map_size);
		stored = map_size + (TAR_BLOCK - map_size % TAR_BLOCK) % TAR_BLOCK;
		for (uint32_t i = 0; i < entry->piece_count; i++)
			stored += entry->pieces[i].size;
		put_text("GNU.sparse.major", "1");
		put_text("GNU.sparse.minor", "0");
		put_text("GNU.sparse.name", name);
		put_number("GNU.sparse.realsize", entry->size);
	} else if (strlen(name) > sizeof(((struct tar_header *)0)->name)) {
		put_text("path", name);
	}
	if (strlen(entry->target) > sizeof(((struct tar_header *)0)->target))
		put_text("linkpath", entry->target);
	if (stored > LARGE_MOST)
		put_number("size", stored);
	if (entry->uid > SMALL_MOST)
		put_number("uid", entry->uid);
	if (entry->gid > SMALL_MOST)
		put_number("gid", entry->gid);
	if (entry->mtime_ns || entry->mtime < 0 || (uint64_t)entry->mtime > LARGE_MOST)
		put_time(entry);
	if (records_used) {
		put_header(TAR_PAX, "././@PaxHeader", "", records_used, &plain);
		out_put(records, records_used);
		tar_put_padding(records_used);
		records_used = 0;
	}
	put_header(entry->type, name, entry->target, stored, entry);
	if (map) {
		out_put(map, map_size);
		tar_put_padding(map_size);
		free(map);
	}
}

void tar_put_end(void)
{
	out_zeros(2 * TAR_BLOCK);
	out_flush();
}
