/* SPDX-License-Identifier: Apache-2.0 */
/* One connection of the host: its buffers, its state, its answers. */
#ifndef INIT_SESSION_H
#define INIT_SESSION_H

#include <drupe/protocol.h>
#include <stdbool.h>
#include <sys/uio.h>

#include "loop.h"

/* Some are kept for requests: a container full of programs can be stopped. */
#define SESSIONS_MAX	72
#define SESSIONS_SPARE	8
/* Output travels in frames of this many bytes; read and sent several at once. */
#define OUT_SEGMENT	65536u
#define OUT_SEGMENTS	4

struct process;
struct spec;

enum session_state {
	SESSION_HELLO,		/* waits for the host's HELLO */
	SESSION_IDLE,
	SESSION_BOOT,		/* HOSTNAME or MOUNT seen */
	SESSION_SPEC,		/* ARG and the like seen */
	SESSION_PROCESS,	/* START seen */
	SESSION_STOP,		/* STOP seen: DONE comes at the very end */
	SESSION_ENDING,		/* last frame queued; input is thrown away */
};

struct session {
	struct source source;
	struct session *next;
	enum session_state state;
	bool dead;		/* the connection is lost: swept soon */
	bool mute;		/* the host takes no more */
	bool first;
	bool stdin_eof;
	bool taken_up;		/* by ATTACH: it does not know what the process takes */
	uint32_t credit;	/* STDIN bytes that the host may send */
	uint32_t credit_due;	/* consumed, not yet granted */
	struct spec *spec;
	struct process *process;
	uint8_t *in;
	size_t in_used;
	uint8_t *out;
	size_t out_head;
	size_t out_tail;
};

void session_accept(int fd);
/* Queues a small frame and sends what the transport takes. */
void session_send(struct session *session, uint16_t type, const void *payload, size_t size);
/* ERROR, the last frame. @number is an errno or 0. */
void session_fail(struct session *session, enum drupe_stage stage, int number, const char *text);
/* A last frame. */
void session_finish(struct session *session, uint16_t type, const void *payload, size_t size);
void session_grant(struct session *session, size_t consumed);

/*
 * Output without a copy: places for up to OUT_SEGMENTS pieces of app output,
 * at most @most bytes together; then the bytes that were put there. No place
 * means that the host must read first.
 */
int session_places(struct session *session, struct iovec *places, size_t most);
void session_commit(struct session *session, uint16_t type, size_t size);

/* Closes what has ended. True while a session still has bytes to deliver. */
/* Lets go on what waited for room in the sessions; before the processes are swept. */
void session_resume(void);
bool session_sweep(void);
int session_count(void);
void session_finish_stops(void);

#endif
