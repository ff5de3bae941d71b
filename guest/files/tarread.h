/* SPDX-License-Identifier: Apache-2.0 */
/* Reads tar streams from whoever: bounded, and each field checked. */
#ifndef FILES_TARREAD_H
#define FILES_TARREAD_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "tar.h"

/* Bytes of one extended header. */
#define TAR_EXTENDED_MAX	(1u << 20)
#define TAR_XATTRS_MAX		64

struct tar_xattr {
	const char *name;
	const uint8_t *value;
	size_t size;
};

struct tar_reader {
	/* Set by the user: bytes of the stream, as read(2). */
	ssize_t (*read)(void *cookie, void *data, size_t size);
	void *cookie;
	/* The entry that tar_next() has found; valid until it is called again. */
	struct tar_entry entry;
	struct tar_xattr xattrs[TAR_XATTRS_MAX];
	uint32_t xattr_count;
	const char *why;	/* what is wrong, after -1 */
	/* The reader's own. */
	uint64_t left;		/* data of the entry that was not read yet */
	uint32_t padding;
	char *extended;		/* a PAX header */
	char *long_name;	/* GNU's forms */
	char *long_target;
	char *short_name;
	char *short_target;
	bool sparse;
	uint64_t real_size;
	uint64_t stored;
	bool has_size;
};

/* 1: the next entry; 0: the end; -1: it is broken. */
int tar_next(struct tar_reader *reader);
/* Some of the entry's stored data: piece after piece. 0: all was read; -1: it is broken. */
ssize_t tar_data(struct tar_reader *reader, void *data, size_t size);
void tar_free(struct tar_reader *reader);

#endif
