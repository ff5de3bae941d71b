/* SPDX-License-Identifier: Apache-2.0 */
/* The processes that sessions started, from START to EXITED. */
#ifndef INIT_PROCESS_H
#define INIT_PROCESS_H

#include <drupe/protocol.h>
#include <stdbool.h>
#include <sys/types.h>

#include "loop.h"

/* Three descriptors each: with all sessions, fewer than the usual limit of 1024. */
#define PROCESSES_MAX	256

struct flows;
struct session;
struct spec;

/* Output of a process: a pipe, or the master of its PTY. */
struct stream {
	struct source source;
	struct process *process;
	bool paused;		/* the session's buffer is full */
	size_t left;		/* draining: bytes still taken */
};

/* STDIN bytes that the process has not taken yet. */
struct ring {
	uint8_t *data;
	size_t head;
	size_t used;
};

struct process {
	struct process *next;
	struct session *session;	/* NULL: nobody listens */
	pid_t pid;
	bool main;
	bool check;			/* a health check: its output goes there */
	bool detached;
	bool logged;
	bool terminal;
	bool takes_stdin;
	bool held;			/* was, until its release: all but execve() is done */
	bool started;			/* execve() succeeded */
	bool failed;			/* it did not, or was never reached */
	bool reaped;
	bool draining;
	int status;
	struct source report;		/* pipe from the child until its execve() */
	struct source input;
	bool input_dead;		/* the process closed its stdin */
	bool input_ending;		/* close it when the ring is empty */
	struct ring ring;
	struct stream out[2];
	struct flows *flows;		/* instead of these, or NULL */
	int go;				/* held: a pipe whose byte lets it go, else -1 */
	struct timer hangup;
};

void process_start(struct session *session, uint32_t flags);
/* Without a session, the main process once more. 0, or an errno with the reason in @text. */
int process_start_alone(const struct spec *spec, uint32_t flags, const char **text);
/* The same for a health check; NULL: the reason is in @text. */
struct process *process_start_check(const struct spec *spec, const char **text);
/* Makes a session that of a process that was detached from, or fails it. */
void process_attach(struct session *session, struct process *process);
/* Has a held process execute its program; the session is its own from then on. */
void process_release(struct session *session, struct process *process);
/* 0 or an errno. */
int process_signal(struct process *process, int signal);
void process_window(struct process *process, const struct drupe_window *window);
/* The session is gone: hang up, unless detached. */
void process_lost(struct process *process);
void process_resume(struct process *process);	/* the session has room again */
void process_reap(void);			/* on SIGCHLD */
/* Finishes and frees what has ended. True while some are left. */
bool process_sweep(void);

#endif
