// SPDX-License-Identifier: Apache-2.0
/* One connection of the host: its buffers and what is sent on it. */
#define _GNU_SOURCE
#include "session.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "container.h"
#include "frame.h"
#include "process.h"
#include "request.h"
#include "spec.h"

/* Two frames of the largest size. */
#define IN_BYTES	(2 * (FRAME_HEAD + DRUPE_FRAME_MAX))
/* App output stays below OUT_DATA: answers find room above it. */
#define OUT_PIECE	(FRAME_HEAD + OUT_SEGMENT)
#define OUT_DATA	(OUT_SEGMENTS * OUT_PIECE)
#define OUT_BYTES	(OUT_DATA + 3 * DRUPE_ERROR_MAX)
#define CREDIT_STEP	(DRUPE_STDIN_WINDOW / 8)

static struct session *sessions;
static int count;

static void flush(struct session *session)
{
	/* A transport may take less than it has room for: on until it says so. */
	while (!session->dead && !session->mute && session->out_head < session->out_tail) {
		ssize_t sent = write(session->source.fd, session->out + session->out_head,
				     session->out_tail - session->out_head);

		if (sent > 0) {
			session->out_head += (size_t)sent;
			container_progress();
		} else if (sent < 0 && errno == EAGAIN) {
			source_watch(&session->source, EPOLLIN | EPOLLOUT);
			return;
		} else if (sent == 0 || errno != EINTR) {
			/* What it had sent before it left is read all the same. */
			session->mute = true;
			break;
		}
	}
	session->out_head = 0;
	session->out_tail = 0;
	source_watch(&session->source, EPOLLIN);
}

static void compact(struct session *session)
{
	if (!session->out_head)
		return;
	session->out_tail -= session->out_head;
	memmove(session->out, session->out + session->out_head, session->out_tail);
	session->out_head = 0;
}

static void put(struct session *session, const void *data, size_t size)
{
	if (size)
		memcpy(session->out + session->out_tail, data, size);
	session->out_tail += size;
}

static void put_head(struct session *session, uint16_t type, size_t size)
{
	struct drupe_frame head = { .size = (uint32_t)size, .type = type };

	put(session, &head, sizeof(head));
}

static bool room_for(struct session *session, size_t size)
{
	if (OUT_BYTES - session->out_tail < FRAME_HEAD + size)
		compact(session);
	if (OUT_BYTES - session->out_tail >= FRAME_HEAD + size)
		return true;
	/* A host that asks on and on but reads no answers. */
	session->dead = true;
	return false;
}

void session_send(struct session *session, uint16_t type, const void *payload, size_t size)
{
	if (session->dead || !room_for(session, size))
		return;
	put_head(session, type, size);
	put(session, payload, size);
	flush(session);
}

void session_finish(struct session *session, uint16_t type, const void *payload, size_t size)
{
	session_send(session, type, payload, size);
	session->state = SESSION_ENDING;
	session->in_used = 0;
}

void session_fail(struct session *session, enum drupe_stage stage, int number, const char *text)
{
	struct drupe_error error = { .number = (uint32_t)number, .stage = stage };
	size_t length = strlen(text);

	if (length > DRUPE_ERROR_MAX - sizeof(error))
		length = DRUPE_ERROR_MAX - sizeof(error);
	if (!session->dead && room_for(session, sizeof(error) + length)) {
		put_head(session, DRUPE_ERROR, sizeof(error) + length);
		put(session, &error, sizeof(error));
		put(session, text, length);
		flush(session);
	}
	session->state = SESSION_ENDING;
	session->in_used = 0;
	if (session->process)
		process_lost(session->process);
}

void session_grant(struct session *session, size_t consumed)
{
	struct drupe_credit credit;

	session->credit_due += (uint32_t)consumed;
	if (session->credit_due < CREDIT_STEP || session->dead || session->stdin_eof ||
	    OUT_BYTES - session->out_tail < 2 * DRUPE_ERROR_MAX)
		return;
	credit.size = session->credit_due;
	session->credit += session->credit_due;
	session->credit_due = 0;
	session_send(session, DRUPE_STDIN_CREDIT, &credit, sizeof(credit));
}

int session_places(struct session *session, struct iovec *places, size_t most)
{
	size_t at;
	int pieces = 0;

	if (session->out_tail + OUT_PIECE > OUT_DATA)
		compact(session);
	at = session->out_tail;
	while (most && pieces < OUT_SEGMENTS && at + OUT_PIECE <= OUT_DATA) {
		places[pieces].iov_base = session->out + at + FRAME_HEAD;
		places[pieces].iov_len = most < OUT_SEGMENT ? most : OUT_SEGMENT;
		most -= places[pieces].iov_len;
		at += OUT_PIECE;
		pieces++;
	}
	return pieces;
}

void session_commit(struct session *session, uint16_t type, size_t size)
{
	while (size) {
		size_t piece = size < OUT_SEGMENT ? size : OUT_SEGMENT;

		put_head(session, type, piece);
		session->out_tail += piece;
		size -= piece;
	}
	flush(session);
}

static void take_frames(struct session *session)
{
	size_t done = 0;

	while (!session->dead && session->state != SESSION_ENDING) {
		const uint8_t *data = session->in + done;
		struct drupe_frame frame;
		const char *why = NULL;
		long length = frame_next(data, session->in_used - done, &frame, &why);

		if (!length)
			break;
		if (length > 0)
			why = request_take(session, frame.type, data + FRAME_HEAD, frame.size);
		if (why) {
			session_fail(session, DRUPE_STAGE_PROTOCOL, 0, why);
			return;
		}
		done += (size_t)length;
	}
	if (session->state == SESSION_ENDING) {
		session->in_used = 0;
	} else if (done) {
		session->in_used -= done;
		memmove(session->in, session->in + done, session->in_used);
	}
}

static void ready(struct source *source, uint32_t events)
{
	struct session *session = container_of(source, struct session, source);
	ssize_t size;

	if (session->dead)
		return;
	if (events & EPOLLOUT)
		flush(session);
	if (session->dead || !(events & (EPOLLIN | EPOLLHUP | EPOLLERR)))
		return;
	size = read(source->fd, session->in + session->in_used, IN_BYTES - session->in_used);
	if (size < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (size <= 0) {
		session->dead = true;
		return;
	}
	session->in_used += (size_t)size;
	take_frames(session);
}

void session_accept(int fd)
{
	static bool any;
	struct drupe_hello hello = { .magic = DRUPE_MAGIC, .version = DRUPE_VERSION };
	struct session *session = calloc(1, sizeof(*session));

	if (!session) {
		close(fd);
		return;
	}
	session->in = malloc(IN_BYTES);
	session->out = malloc(OUT_BYTES);
	source_init(&session->source, fd, ready);
	session->credit = DRUPE_STDIN_WINDOW;
	session->next = sessions;
	sessions = session;
	count++;
	if (!session->in || !session->out || source_watch(&session->source, EPOLLIN) < 0) {
		session->dead = true;
		return;
	}
	session->first = !any;
	any = true;
	session_send(session, DRUPE_HELLO, &hello, sizeof(hello));
}

static void session_free(struct session *session)
{
	if (session->process)
		process_lost(session->process);
	if (session->first)
		container_first_gone();
	/* What the peer still sent must not reset the connection under its last frame. */
	if (session->in && !session->dead)
		(void)!read(session->source.fd, session->in, IN_BYTES);
	source_close(&session->source);
	spec_free(session->spec);
	free(session->in);
	free(session->out);
	free(session);
	count--;
}

/*
 * What waits for room goes on as soon as there is some. A flush makes room at
 * any time, not only when the transport says that it is ready again.
 */
static void resume(struct session *session)
{
	if (session->dead || OUT_DATA - (session->out_tail - session->out_head) < OUT_PIECE)
		return;
	session_grant(session, 0);
	if (session->process)
		process_resume(session->process);
}

void session_resume(void)
{
	for (struct session *session = sessions; session; session = session->next)
		resume(session);
}

bool session_sweep(void)
{
	struct session **link = &sessions;
	bool pending = false;

	while (*link) {
		struct session *session = *link;

		if (session->dead ||
		    (session->state == SESSION_ENDING && session->out_head == session->out_tail)) {
			*link = session->next;
			session_free(session);
			continue;
		}
		pending |= session->out_head != session->out_tail;
		link = &session->next;
	}
	return pending;
}

int session_count(void)
{
	return count;
}

void session_finish_stops(void)
{
	for (struct session *session = sessions; session; session = session->next)
		if (session->state == SESSION_STOP)
			session_finish(session, DRUPE_DONE, NULL, 0);
}
