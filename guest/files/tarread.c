// SPDX-License-Identifier: Apache-2.0
/* Reads tar streams from whoever: ustar, PAX and GNU's older long names. */
#define _GNU_SOURCE
#include "tarread.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static int broken(struct tar_reader *reader, const char *why)
{
	reader->why = why;
	return -1;
}

static int take(struct tar_reader *reader, void *data, size_t size)
{
	uint8_t *at = data;

	while (size) {
		ssize_t got = reader->read(reader->cookie, at, size);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return broken(reader, got ? "it cannot be read" : "it ends too early");
		at += got;
		size -= (size_t)got;
	}
	return 0;
}

static int skip(struct tar_reader *reader, uint64_t size)
{
	uint8_t scratch[4096];

	while (size) {
		size_t piece = size < sizeof(scratch) ? (size_t)size : sizeof(scratch);

		if (take(reader, scratch, piece) < 0)
			return -1;
		size -= piece;
	}
	return 0;
}

static uint32_t padding_of(uint64_t size)
{
	return (uint32_t)((TAR_BLOCK - size % TAR_BLOCK) % TAR_BLOCK);
}

/* Octal digits between blanks, or GNU's base 256. */
static bool number(const char *field, size_t size, int64_t *value)
{
	const uint8_t *at = (const uint8_t *)field;
	uint64_t sum = 0;
	size_t i = 0;

	if (*at & 0x80) {
		bool negative = *at & 0x40;

		sum = negative ? ~0ull : 0;
		sum = (sum << 6) | (*at & 0x3f);
		for (i = 1; i < size; i++) {
			uint64_t top = sum >> 55;

			/* It must stay the sign's extension. */
			if (top != 0 && top != 0x1ff)
				return false;
			sum = (sum << 8) | at[i];
		}
		*value = (int64_t)sum;
		return true;
	}
	while (i < size && at[i] == ' ')
		i++;
	for (; i < size && at[i] >= '0' && at[i] <= '7'; i++) {
		if (sum >> 60)
			return false;
		sum = sum * 8 + (at[i] - '0');
	}
	*value = (int64_t)sum;
	for (; i < size; i++)
		if (at[i] && at[i] != ' ')
			return false;
	return true;
}

/* All of @text as a decimal number. */
static bool decimal(const char *text, size_t size, uint64_t *value)
{
	*value = 0;
	for (size_t i = 0; i < size; i++) {
		if (text[i] < '0' || text[i] > '9' || *value > (UINT64_MAX - 9) / 10)
			return false;
		*value = *value * 10 + (uint64_t)(text[i] - '0');
	}
	return size && *value <= INT64_MAX;
}

static bool checksum_ok(const struct tar_header *header)
{
	const uint8_t *bytes = (const uint8_t *)header;
	size_t first = offsetof(struct tar_header, checksum);
	int64_t told;
	int64_t sum = 0;
	int64_t oldest = 0;	/* by those who took bytes for signed */

	for (size_t i = 0; i < sizeof(*header); i++) {
		bool own = i >= first && i < first + sizeof(header->checksum);

		sum += own ? ' ' : bytes[i];
		oldest += own ? ' ' : (int8_t)bytes[i];
	}
	return number(header->checksum, sizeof(header->checksum), &told) &&
	       (told == sum || told == oldest);
}

static bool empty(const struct tar_header *header)
{
	const uint8_t *bytes = (const uint8_t *)header;

	for (size_t i = 0; i < sizeof(*header); i++)
		if (bytes[i])
			return false;
	return true;
}

static void forget(struct tar_reader *reader)
{
	free(reader->extended);
	free(reader->long_name);
	free(reader->long_target);
	free(reader->short_name);
	free(reader->short_target);
	free(reader->entry.pieces);
	reader->extended = NULL;
	reader->long_name = NULL;
	reader->long_target = NULL;
	reader->short_name = NULL;
	reader->short_target = NULL;
	memset(&reader->entry, 0, sizeof(reader->entry));
	reader->xattr_count = 0;
	reader->sparse = false;
	reader->has_size = false;
	reader->real_size = 0;
}

void tar_free(struct tar_reader *reader)
{
	forget(reader);
}

/* The data of an extended header, with a NUL behind it. */
static char *take_extended(struct tar_reader *reader, uint64_t size)
{
	char *data;

	if (size > TAR_EXTENDED_MAX) {
		broken(reader, "an extended header is too large");
		return NULL;
	}
	data = malloc((size_t)size + 1);
	if (!data) {
		broken(reader, "out of memory");
		return NULL;
	}
	if (take(reader, data, (size_t)size) < 0 || skip(reader, padding_of(size)) < 0) {
		free(data);
		return NULL;
	}
	data[size] = 0;
	return data;
}

/* "SECONDS[.FRACTION]", maybe negative. */
static bool take_time(struct tar_reader *reader, const char *text, size_t size)
{
	bool negative = size && *text == '-';
	const char *dot;
	uint64_t seconds;
	uint32_t ns = 0;
	uint32_t unit = 100000000;

	text += negative;
	size -= negative;
	dot = memchr(text, '.', size);
	if (!decimal(text, dot ? (size_t)(dot - text) : size, &seconds))
		return false;
	for (const char *at = dot ? dot + 1 : text + size; at < text + size; at++) {
		if (*at < '0' || *at > '9')
			return false;
		ns += (uint32_t)(*at - '0') * unit;
		unit /= 10;
	}
	reader->entry.mtime = negative ? -(int64_t)seconds : (int64_t)seconds;
	if (negative && ns) {
		reader->entry.mtime--;
		ns = 1000000000u - ns;
	}
	reader->entry.mtime_ns = ns;
	return true;
}

static bool take_id(const char *value, size_t size, uint32_t *id)
{
	uint64_t number;

	if (!decimal(value, size, &number) || number >= UINT32_MAX)
		return false;
	*id = (uint32_t)number;
	return true;
}

static bool is_text(const char *value, size_t size)
{
	return size && !memchr(value, 0, size);
}

/* One record, which ends with a NUL in place of its newline. False: it is senseless. */
static bool take_record(struct tar_reader *reader, const char *key, const char *value, size_t size)
{
	static const char xattr[] = "SCHILY.xattr.";
	struct tar_entry *entry = &reader->entry;

	if (!strcmp(key, "path") || !strcmp(key, "GNU.sparse.name")) {
		/* In a sparse file's header "path" is a stand-in. */
		if (!entry->name || key[0] == 'G')
			entry->name = value;
		return is_text(value, size);
	}
	if (!strcmp(key, "linkpath")) {
		entry->target = value;
		return is_text(value, size);
	}
	if (!strcmp(key, "size")) {
		reader->has_size = true;
		return decimal(value, size, &reader->stored);
	}
	if (!strcmp(key, "uid"))
		return take_id(value, size, &entry->uid);
	if (!strcmp(key, "gid"))
		return take_id(value, size, &entry->gid);
	if (!strcmp(key, "mtime"))
		return take_time(reader, value, size);
	if (!strcmp(key, "GNU.sparse.major")) {
		reader->sparse = true;
		return !strcmp(value, "1");
	}
	if (!strcmp(key, "GNU.sparse.minor"))
		return !strcmp(value, "0");
	if (!strcmp(key, "GNU.sparse.realsize"))
		return decimal(value, size, &reader->real_size);
	/* The older forms, whose map lies here. */
	if (!strncmp(key, "GNU.sparse.", 11))
		return false;
	if (!strncmp(key, xattr, sizeof(xattr) - 1)) {
		struct tar_xattr *place = &reader->xattrs[reader->xattr_count];

		if (reader->xattr_count == TAR_XATTRS_MAX || !key[sizeof(xattr) - 1])
			return false;
		place->name = key + sizeof(xattr) - 1;
		place->value = (const uint8_t *)value;
		place->size = size;
		reader->xattr_count++;
	}
	return true;
}

/* All records of a PAX header, which is cut up into strings in place. */
static int take_records(struct tar_reader *reader, char *at, size_t size)
{
	char *end = at + size;

	while (at < end) {
		char *blank = memchr(at, ' ', (size_t)(end - at));
		uint64_t length;
		char *equals;
		char *last;

		if (!blank || !decimal(at, (size_t)(blank - at), &length) ||
		    length > (uint64_t)(end - at) || at + length < blank + 3)
			return broken(reader, "a PAX record has a wrong length");
		last = at + length - 1;
		equals = memchr(blank + 1, '=', (size_t)(last - blank - 1));
		if (*last != '\n' || !equals || memchr(blank + 1, 0, (size_t)(equals - blank)))
			return broken(reader, "a PAX record is not KEY=VALUE");
		*equals = 0;
		*last = 0;
		if (!take_record(reader, blank + 1, equals + 1, (size_t)(last - equals - 1)))
			return broken(reader, "a PAX record makes no sense");
		at = last + 1;
	}
	return 0;
}

static int take_pax(struct tar_reader *reader, uint64_t size)
{
	if (reader->extended)
		return broken(reader, "two PAX headers in a row");
	reader->extended = take_extended(reader, size);
	return reader->extended ? take_records(reader, reader->extended, (size_t)size) : -1;
}

static int take_gnu(struct tar_reader *reader, char **place, uint64_t size)
{
	free(*place);
	*place = take_extended(reader, size);
	if (!*place)
		return -1;
	return **place ? 0 : broken(reader, "a long name is empty");
}

/* The names of a header itself: a field need not end with a NUL. */
static int take_names(struct tar_reader *reader, const struct tar_header *header)
{
	struct tar_entry *entry = &reader->entry;
	size_t prefix = memcmp(header->magic, "ustar", 6) ? 0 : strnlen(header->prefix, 155);
	size_t name = strnlen(header->name, sizeof(header->name));

	reader->short_name = malloc(prefix + name + 2);
	reader->short_target = strndup(header->target, sizeof(header->target));
	if (!reader->short_name || !reader->short_target)
		return broken(reader, "out of memory");
	memcpy(reader->short_name, header->prefix, prefix);
	if (prefix)
		reader->short_name[prefix++] = '/';
	memcpy(reader->short_name + prefix, header->name, name);
	reader->short_name[prefix + name] = 0;
	if (!entry->name)
		entry->name = reader->long_name ? reader->long_name : reader->short_name;
	if (!entry->target)
		entry->target = reader->long_target ? reader->long_target : reader->short_target;
	return *entry->name ? 0 : broken(reader, "an entry has no name");
}

static int take_numbers(struct tar_reader *reader, const struct tar_header *header)
{
	struct tar_entry *entry = &reader->entry;
	int64_t mode, uid, gid, mtime, major, minor;

	if (!number(header->mode, 8, &mode) || !number(header->uid, 8, &uid) ||
	    !number(header->gid, 8, &gid) || !number(header->mtime, 12, &mtime) ||
	    !number(header->major, 8, &major) || !number(header->minor, 8, &minor))
		return broken(reader, "a number in a header is none");
	entry->mode = (uint32_t)mode & 07777;
	entry->major = (uint32_t)major;
	entry->minor = (uint32_t)minor;
	/* Records were there first; what they left alone is the header's. */
	if (!entry->uid)
		entry->uid = (uint32_t)uid;
	if (!entry->gid)
		entry->gid = (uint32_t)gid;
	if (!entry->mtime && !entry->mtime_ns)
		entry->mtime = mtime;
	return 0;
}

/* A number and a newline of a sparse file's map. */
static int map_number(struct tar_reader *reader, uint64_t *value)
{
	char digits[24];
	size_t used = 0;

	while (used < sizeof(digits)) {
		if (!reader->left || take(reader, digits + used, 1) < 0)
			break;
		reader->left--;
		if (digits[used] == '\n')
			return decimal(digits, used, value) ? 0 : -1;
		used++;
	}
	return -1;
}

static int take_map(struct tar_reader *reader)
{
	struct tar_entry *entry = &reader->entry;
	uint64_t all = reader->left;
	uint64_t count, rest, at = 0;

	if (map_number(reader, &count) < 0 || count > TAR_PIECES_MAX)
		return broken(reader, "the map of a sparse file is broken");
	entry->pieces = calloc((size_t)count + 1, sizeof(*entry->pieces));
	if (!entry->pieces)
		return broken(reader, "out of memory");
	entry->piece_count = (uint32_t)count;
	for (uint64_t i = 0; i < count; i++) {
		struct tar_piece *piece = &entry->pieces[i];

		if (map_number(reader, &piece->offset) < 0 || map_number(reader, &piece->size) < 0 ||
		    piece->offset < at || piece->size > reader->real_size ||
		    piece->offset > reader->real_size - piece->size)
			return broken(reader, "the map of a sparse file is broken");
		at = piece->offset + piece->size;
	}
	rest = padding_of(all - reader->left);
	if (rest > reader->left || skip(reader, rest) < 0)
		return broken(reader, "the map of a sparse file is broken");
	reader->left -= rest;
	rest = 0;
	for (uint64_t i = 0; i < count; i++)
		rest += entry->pieces[i].size;
	if (rest != reader->left)
		return broken(reader, "the map of a sparse file does not fit its data");
	return 0;
}

static int take_entry(struct tar_reader *reader, const struct tar_header *header)
{
	struct tar_entry *entry = &reader->entry;
	uint64_t stored = reader->has_size ? reader->stored : reader->left;

	if (take_names(reader, header) < 0 || take_numbers(reader, header) < 0)
		return -1;
	entry->type = header->type;
	if (!header->type || header->type == TAR_CONTIGUOUS)
		entry->type = TAR_FILE;
	/* Of old: a directory is a file whose name ends so. */
	if (!header->type && entry->name[strlen(entry->name) - 1] == '/')
		entry->type = TAR_DIRECTORY;
	/* These have no data, whatever size they tell; unknown ones do. */
	if (entry->type >= TAR_LINK && entry->type <= TAR_FIFO)
		stored = 0;
	reader->padding = padding_of(stored);
	reader->left = stored;
	if (entry->type != TAR_FILE)
		return 1;
	entry->size = reader->sparse ? reader->real_size : stored;
	return reader->sparse && take_map(reader) < 0 ? -1 : 1;
}

int tar_next(struct tar_reader *reader)
{
	struct tar_header header;
	int64_t size;

	if (skip(reader, reader->left) < 0 || skip(reader, reader->padding) < 0)
		return -1;
	forget(reader);
	for (;;) {
		int failed = 0;

		reader->left = 0;
		reader->padding = 0;
		if (take(reader, &header, sizeof(header)) < 0)
			return -1;
		if (empty(&header))
			return reader->extended || reader->long_name || reader->long_target
				? broken(reader, "an extended header without an entry") : 0;
		if (!checksum_ok(&header))
			return broken(reader, "a header has a wrong checksum");
		if (!number(header.size, sizeof(header.size), &size) || size < 0)
			return broken(reader, "a size in a header is none");
		switch (header.type) {
		case TAR_PAX:
			failed = take_pax(reader, (uint64_t)size);
			break;
		case TAR_PAX_GLOBAL:
			failed = skip(reader, (uint64_t)size) ||
				 skip(reader, padding_of((uint64_t)size)) ? -1 : 0;
			break;
		case TAR_GNU_NAME:
			failed = take_gnu(reader, &reader->long_name, (uint64_t)size);
			break;
		case TAR_GNU_TARGET:
			failed = take_gnu(reader, &reader->long_target, (uint64_t)size);
			break;
		default:
			reader->left = (uint64_t)size;
			return take_entry(reader, &header);
		}
		if (failed < 0)
			return -1;
	}
}

ssize_t tar_data(struct tar_reader *reader, void *data, size_t size)
{
	ssize_t got;

	if (size > reader->left)
		size = (size_t)reader->left;
	if (!size)
		return 0;
	do
		got = reader->read(reader->cookie, data, size);
	while (got < 0 && errno == EINTR);
	if (got <= 0)
		return broken(reader, got ? "it cannot be read" : "it ends too early");
	reader->left -= (uint64_t)got;
	return got;
}
