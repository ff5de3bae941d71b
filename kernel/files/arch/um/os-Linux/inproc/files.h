/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * How the kernel asks the process that has the host's files: files.c asks,
 * broker.c answers.
 */
#ifndef __UM_INPROC_FILES_H
#define __UM_INPROC_FILES_H

#include <limits.h>

/* Marks descriptors of the broker, which are none of the kernel's own */
#define FILES_FD	0x10000000

#define FILES_PATHS	2
#define FILES_DATA_SIZE	256
#define FILES_ARGS	6
#define FILES_SINK_SIZE	16384

/*
 * What an argument of a call is.
 *
 * @FILES_INT: a number
 * @FILES_FD_ARG: a descriptor of the broker, or a negative number
 * @FILES_PATH: a string, in @paths
 * @FILES_IN: a structure that the host reads, in @data
 * @FILES_OUT: a structure that the host writes, in @data
 * @FILES_SOURCE, @FILES_SINK: memory that the host reads or writes, as an
 *	offset in the memory file; its length is the next argument
 */
enum files_kind {
	FILES_INT, FILES_FD_ARG, FILES_PATH, FILES_IN, FILES_OUT, FILES_SOURCE, FILES_SINK
};

/*
 * A host system call that the broker makes for the kernel.
 *
 * @nr: its number
 * @size: of its structure, in bytes
 * @count: of its arguments
 * @opens: it returns a descriptor
 */
struct files_call {
	int nr;
	int size;
	int count;
	int opens;
	enum files_kind kinds[FILES_ARGS];
};

/*
 * In the memory file. There is one per virtual processor.
 *
 * @state: futex: one of the values below
 * @nr: of the call
 * @args: -1 for a path or a structure that is not there
 * @data: the structure of the call
 * @paths: its paths
 * @sink: takes the place of memory that is not in one piece in the memory file
 */
struct files_request {
	int state;
	int nr;
	long args[FILES_ARGS];
	long result;
	char data[FILES_DATA_SIZE];
	char paths[FILES_PATHS][PATH_MAX];
	char sink[FILES_SINK_SIZE];
} __attribute__((aligned(4096)));

#define FILES_IDLE	0
#define FILES_ASKED	1

extern struct files_request files_request;
extern int inproc_has_files, inproc_broker_pid;

const struct files_call *files_find(int nr);
const struct files_call *files_calls(int *count);

#endif
