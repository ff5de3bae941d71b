// SPDX-License-Identifier: Apache-2.0
/*
 * The container's log in the CRI format. A line is held until it is whole or
 * longer than a record may be. Errors drop records: a full disk must never
 * hold up the application.
 */
#define _GNU_SOURCE
#include "log.h"

#include <drupe/protocol.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define STAMP_BYTES	31	/* 2016-10-06T00:17:09.669794202Z and a space */
#define HEAD_BYTES	(STAMP_BYTES + sizeof("stdout F ") - 1)
#define BATCH_BYTES	(256 * 1024)

static const char *const names[] = { "stdout ", "stderr " };

static struct {
	size_t used;
	uint8_t text[DRUPE_LOG_PART_MAX];
} held[2];

static int log_fd = -1;
static bool torn;		/* the file ends inside a record */
static char stamp[64];
static uint8_t batch[BATCH_BYTES];
static size_t batch_used;

void log_open(int fd)
{
	log_fd = fd;
}

void log_begin(void)
{
	struct timespec now;
	struct tm date;

	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &date);
	snprintf(stamp, sizeof(stamp), "%04d-%02d-%02dT%02d:%02d:%02d.%09ldZ ",
		 date.tm_year + 1900, date.tm_mon + 1, date.tm_mday, date.tm_hour,
		 date.tm_min, date.tm_sec, now.tv_nsec);
}

void log_end(void)
{
	size_t done = 0;

	if (batch_used && torn && write(log_fd, "\n", 1) == 1)
		torn = false;
	while (!torn && done < batch_used) {
		ssize_t size = write(log_fd, batch + done, batch_used - done);

		if (size < 0 && errno == EINTR)
			continue;
		if (size <= 0) {
			torn = done && batch[done - 1] != '\n';
			break;
		}
		done += (size_t)size;
	}
	batch_used = 0;
}

static void put(const void *data, size_t size)
{
	memcpy(batch + batch_used, data, size);
	batch_used += size;
}

/* One record: what is held of the stream, then @size more bytes. */
static void record(int is_stderr, char tag, const uint8_t *data, size_t size)
{
	const char tags[] = { tag, ' ' };

	if (BATCH_BYTES - batch_used < HEAD_BYTES + DRUPE_LOG_PART_MAX + 1)
		log_end();
	put(stamp, STAMP_BYTES);
	put(names[is_stderr], 7);
	put(tags, 2);
	put(held[is_stderr].text, held[is_stderr].used);
	held[is_stderr].used = 0;
	if (size)
		put(data, size);
	put("\n", 1);
}

void log_take(int is_stderr, const uint8_t *data, size_t size)
{
	if (log_fd < 0)
		return;
	while (size) {
		const uint8_t *newline = memchr(data, '\n', size);
		size_t length = newline ? (size_t)(newline - data) : size;
		size_t room = DRUPE_LOG_PART_MAX - held[is_stderr].used;
		size_t taken = length;

		if (length > room) {
			record(is_stderr, 'P', data, room);
			taken = room;
		} else if (newline) {
			record(is_stderr, 'F', data, length);
			taken = length + 1;
		} else {
			memcpy(held[is_stderr].text + held[is_stderr].used, data, length);
			held[is_stderr].used += length;
		}
		data += taken;
		size -= taken;
	}
}

void log_finish(void)
{
	if (log_fd < 0)
		return;
	log_begin();
	for (int i = 0; i < 2; i++)
		if (held[i].used)
			record(i, 'P', NULL, 0);
	log_end();
}
