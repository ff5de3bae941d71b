/* SPDX-License-Identifier: Apache-2.0 */
/* The form of tar streams: POSIX ustar with PAX records, and what others write. */
#ifndef FILES_TAR_H
#define FILES_TAR_H

#include <stdint.h>

#define TAR_BLOCK	512u
/* Pieces of a sparse file that one map may hold. */
#define TAR_PIECES_MAX	65536u

struct tar_header {
	char name[100];
	char mode[8];
	char uid[8];
	char gid[8];
	char size[12];
	char mtime[12];
	char checksum[8];
	char type;
	char target[100];
	char magic[6];
	char version[2];
	char uname[32];
	char gname[32];
	char major[8];
	char minor[8];
	char prefix[155];
	char pad[12];
};

_Static_assert(sizeof(struct tar_header) == TAR_BLOCK, "a header is a block");

enum tar_type {
	TAR_FILE = '0',
	TAR_LINK = '1',
	TAR_SYMLINK = '2',
	TAR_CHAR = '3',
	TAR_BLOCKDEV = '4',
	TAR_DIRECTORY = '5',
	TAR_FIFO = '6',
	TAR_CONTIGUOUS = '7',
	TAR_PAX = 'x',
	TAR_PAX_GLOBAL = 'g',
	TAR_GNU_NAME = 'L',
	TAR_GNU_TARGET = 'K',
};

/* A piece of a sparse file that holds data. */
struct tar_piece {
	uint64_t offset;
	uint64_t size;
};

/* What a header says, with its extended ones. */
struct tar_entry {
	char type;		/* enum tar_type; TAR_FILE for all that is one */
	const char *name;
	const char *target;
	uint32_t mode;
	uint32_t uid;
	uint32_t gid;
	uint32_t major;
	uint32_t minor;
	uint64_t size;		/* of the file, holes included */
	int64_t mtime;
	uint32_t mtime_ns;
	/* Where its data lies, if it has holes; else NULL. */
	struct tar_piece *pieces;
	uint32_t piece_count;
};

#endif
