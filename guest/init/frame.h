/* SPDX-License-Identifier: Apache-2.0 */
/* The shape of single frames: length, known type, size and text rules. */
#ifndef INIT_FRAME_H
#define INIT_FRAME_H

#include <drupe/protocol.h>
#include <stdbool.h>
#include <stddef.h>

#define FRAME_HEAD	sizeof(struct drupe_frame)

/*
 * Looks at the first frame in @data. Returns its whole length; 0 if more bytes
 * are needed; -1 if it breaks a rule, with the reason in @why.
 */
long frame_next(const uint8_t *data, size_t size, struct drupe_frame *frame, const char **why);

bool text_ok(const uint8_t *text, size_t size);		/* holds no NUL */

struct mount_text {
	const char *type;
	const char *source;
	const char *target;
	const char *options;
};

/* Splits a MOUNT payload; the strings point into it. NULL or what is wrong. */
const char *mount_parse(const uint8_t *payload, size_t size, uint32_t *flags,
			struct mount_text *text);

struct file_text {
	uint32_t mode;
	const char *path;
	const uint8_t *content;
	size_t size;
};

/* Splits a FILE payload; the pointers lead into it. NULL or what is wrong. */
const char *file_parse(const uint8_t *payload, size_t size, struct file_text *file);

#endif
