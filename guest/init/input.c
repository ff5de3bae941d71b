// SPDX-License-Identifier: Apache-2.0
/* STDIN on its way from the session to the process, through a bounded ring. */
#define _GNU_SOURCE
#include "input.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/uio.h>
#include <unistd.h>

#include "process.h"
#include "session.h"

/* A window, what an earlier session has left, a terminal's end-of-file character. */
#define RING_BYTES	(2 * DRUPE_STDIN_WINDOW + 1)
#define TERMINAL_EOF	0x04

static void grant(struct process *process, size_t size)
{
	if (process->session)
		session_grant(process->session, size);
}

/* The process will take no more: what comes is thrown away, and paid for. */
static void die(struct process *process)
{
	size_t lost = process->ring.used;

	input_close(process);
	grant(process, lost);
}

void input_close(struct process *process)
{
	source_close(&process->input);
	free(process->ring.data);
	memset(&process->ring, 0, sizeof(process->ring));
	process->input_dead = true;
}

static void ready(struct source *source, uint32_t events)
{
	struct process *process = container_of(source, struct process, input);
	struct ring *ring = &process->ring;
	size_t straight = RING_BYTES - ring->head;
	struct iovec parts[2];
	ssize_t size;

	(void)events;
	if (straight > ring->used)
		straight = ring->used;
	parts[0].iov_base = ring->data + ring->head;
	parts[0].iov_len = straight;
	parts[1].iov_base = ring->data;
	parts[1].iov_len = ring->used - straight;
	size = writev(source->fd, parts, parts[1].iov_len ? 2 : 1);
	if (size < 0) {
		if (errno != EAGAIN && errno != EINTR)
			die(process);
		return;
	}
	ring->head = (ring->head + (size_t)size) % RING_BYTES;
	ring->used -= (size_t)size;
	if (!ring->used) {
		source_watch(source, 0);
		if (process->input_ending)
			input_close(process);
	}
	grant(process, (size_t)size);
}

void input_init(struct process *process)
{
	source_init(&process->input, -1, ready);
}

static void keep(struct process *process, const uint8_t *data, size_t size)
{
	struct ring *ring = &process->ring;
	size_t tail;
	size_t straight;

	if (!ring->data)
		ring->data = malloc(RING_BYTES);
	if (!ring->data || size > RING_BYTES - ring->used) {
		die(process);
		grant(process, size);
		return;
	}
	tail = (ring->head + ring->used) % RING_BYTES;
	straight = RING_BYTES - tail;
	if (straight > size)
		straight = size;
	memcpy(ring->data + tail, data, straight);
	memcpy(ring->data, data + straight, size - straight);
	ring->used += size;
	source_watch(&process->input, EPOLLOUT);
}

/* Straight to the process where it keeps up; what it does not take is kept. */
static void pass(struct process *process, const uint8_t *data, size_t size)
{
	ssize_t taken = 0;

	if (!process->ring.used) {
		taken = write(process->input.fd, data, size);
		if (taken < 0 && errno != EAGAIN && errno != EINTR) {
			die(process);
			grant(process, size);
			return;
		}
		if (taken < 0)
			taken = 0;
	}
	if ((size_t)taken < size)
		keep(process, data + taken, size - (size_t)taken);
	grant(process, (size_t)taken);
}

void input_take(struct process *process, const uint8_t *data, size_t size)
{
	if (process->input_dead)
		grant(process, size);
	else if (size)
		pass(process, data, size);
}

bool input_room(const struct process *process)
{
	return process->ring.used <= DRUPE_STDIN_WINDOW;
}

void input_end(struct process *process)
{
	static const uint8_t end = TERMINAL_EOF;

	if (process->input_dead)
		return;
	if (process->terminal)
		pass(process, &end, 1);
	else if (process->ring.used)
		process->input_ending = true;
	else
		input_close(process);
}
