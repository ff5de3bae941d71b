/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The streams of a main process that has the host's files: bytes are moved
 * between these and its pipes, or its terminal, and no session has a part in it.
 */
#ifndef INIT_FLOW_H
#define INIT_FLOW_H

#include <stdbool.h>

#include "loop.h"

struct process;

/* One direction. It ends when there is nothing more to read, or nobody to write to. */
struct flow {
	struct source from;
	struct source to;
	uint8_t *data;
	size_t head;
	size_t used;
	bool ended;			/* nothing more comes */
	struct flow *back;		/* ends when nothing more comes, or NULL */
};

#define FLOWS	3

struct flows {
	struct flow way[FLOWS];		/* in, out, err */
	struct timer look;		/* at the size of the terminal */
	int terminal;			/* the host's, or -1 */
	int master;			/* the guest's */
};

/*
 * Takes the descriptors of a process that was just made. NULL, or an errno with
 * the reason in @text; then they are where they were.
 */
struct flows *flows_new(struct process *process, int *error, const char **text);
void flows_begin(struct flows *flows);
bool flows_open(const struct flows *flows);	/* output is under way, or may come */
void flows_free(struct flows *flows);

#endif
