// SPDX-License-Identifier: Apache-2.0
/* Standard output through a buffer. */
#define _GNU_SOURCE
#include "out.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

static uint8_t buffer[128 * 1024];
static size_t used;

void out_flush(void)
{
	size_t done = 0;

	while (done < used) {
		ssize_t size = write(STDOUT_FILENO, buffer + done, used - done);

		if (size < 0 && errno != EINTR)
			_exit(1);
		if (size > 0)
			done += (size_t)size;
	}
	used = 0;
}

uint8_t *out_space(size_t *size)
{
	if (used == sizeof(buffer))
		out_flush();
	*size = sizeof(buffer) - used;
	return buffer + used;
}

void out_took(size_t size)
{
	used += size;
}

void out_put(const void *data, size_t size)
{
	const uint8_t *at = data;

	while (size) {
		size_t room;
		uint8_t *place = out_space(&room);

		if (room > size)
			room = size;
		memcpy(place, at, room);
		out_took(room);
		at += room;
		size -= room;
	}
}

void out_zeros(size_t size)
{
	static const uint8_t zeros[512];

	while (size) {
		size_t piece = size < sizeof(zeros) ? size : sizeof(zeros);

		out_put(zeros, piece);
		size -= piece;
	}
}
