/* SPDX-License-Identifier: Apache-2.0 */
/* The child between fork() and execve(). */
#ifndef INIT_CHILD_H
#define INIT_CHILD_H

#include <drupe/protocol.h>
#include <stdbool.h>

struct spec;

/*
 * What the child has to say through its pipe if it does not get to execve(); of
 * stage 0: that it waits there.
 */
struct child_report {
	enum drupe_stage stage;
	int number;
	char text[256];
};

struct child {
	const struct spec *spec;
	int report;
	int in;			/* -1: /dev/null or the terminal */
	int out;
	int err;
	int master;		/* -1: no terminal */
	int go;			/* held: a byte from here lets it execute; else -1 */
	bool helper;		/* a service of files/, no program */
};

_Noreturn void child_run(const struct child *child);

#endif
