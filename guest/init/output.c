// SPDX-License-Identifier: Apache-2.0
/*
 * Output on its way from the process to the session and the log. It is read
 * straight into the session's buffer and held back while that is full.
 */
#define _GNU_SOURCE
#include "output.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/uio.h>
#include <unistd.h>

#include "container.h"
#include "health.h"
#include "log.h"
#include "process.h"
#include "session.h"

/* A terminal tells no size; it holds less than this. */
#define TERMINAL_LEFT	(1u << 20)

/* For output that no session takes. */
static uint8_t scratch[OUT_SEGMENT];

static void log_parts(bool is_stderr, const struct iovec *parts, size_t size)
{
	log_begin();
	for (; size; parts++) {
		size_t taken = size < parts->iov_len ? size : parts->iov_len;

		log_take(is_stderr, parts->iov_base, taken);
		size -= taken;
	}
	log_end();
}

static void ready(struct source *source, uint32_t events)
{
	struct stream *stream = container_of(source, struct stream, source);
	struct process *process = stream->process;
	bool is_stderr = stream == &process->out[1];
	struct iovec parts[OUT_SEGMENTS];
	int count = 1;
	ssize_t size;

	(void)events;
	if (process->session) {
		count = session_places(process->session, parts, stream->left);
	} else {
		parts[0].iov_base = scratch;
		parts[0].iov_len = stream->left < sizeof(scratch) ? stream->left : sizeof(scratch);
	}
	if (!count) {
		stream->paused = true;
		source_watch(source, 0);
		return;
	}
	size = readv(source->fd, parts, count);
	if (size < 0 && errno == EINTR)
		return;
	if (size < 0 && errno == EAGAIN && !process->draining)
		return;
	if (size <= 0) {
		source_close(source);
		return;
	}
	if (process->check)
		health_output(parts[0].iov_base, (size_t)size);
	if (process->logged)
		log_parts(is_stderr, parts, (size_t)size);
	if (process->session)
		session_commit(process->session, is_stderr ? DRUPE_STDERR : DRUPE_STDOUT,
			       (size_t)size);
	if (process->draining) {
		stream->left -= (size_t)size;
		if (!stream->left)
			source_close(source);
	}
}

void output_init(struct process *process)
{
	for (int i = 0; i < 2; i++) {
		source_init(&process->out[i].source, -1, ready);
		process->out[i].process = process;
		process->out[i].left = SIZE_MAX;
	}
}

void output_begin(struct process *process)
{
	for (int i = 0; i < 2; i++)
		source_watch(&process->out[i].source, EPOLLIN);
}

/* Draining: on until the stream is closed or the session's buffer is full. */
static void drain(struct stream *stream)
{
	while (stream->source.fd >= 0 && !stream->paused)
		ready(&stream->source, EPOLLIN);
}

void output_resume(struct process *process)
{
	for (int i = 0; i < 2; i++) {
		struct stream *stream = &process->out[i];

		if (!stream->paused)
			continue;
		stream->paused = false;
		source_watch(&stream->source, EPOLLIN);
		if (process->draining)
			drain(stream);
	}
}

void output_drain(struct process *process)
{
	/*
	 * The main process's others are killed with it: its streams end by
	 * themselves, and in order.
	 */
	if (process->main)
		return;
	process->draining = true;
	for (int i = 0; i < 2; i++) {
		struct stream *stream = &process->out[i];
		int held = 0;

		if (stream->source.fd < 0)
			continue;
		if (process->terminal)
			stream->left = TERMINAL_LEFT;
		else if (ioctl(stream->source.fd, FIONREAD, &held) == 0)
			stream->left = (size_t)held;
		if (!stream->left)
			source_close(&stream->source);
		drain(stream);
	}
}

bool output_open(const struct process *process)
{
	return process->out[0].source.fd >= 0 || process->out[1].source.fd >= 0;
}

void output_close(struct process *process)
{
	for (int i = 0; i < 2; i++)
		source_close(&process->out[i].source);
}
