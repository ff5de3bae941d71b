/* SPDX-License-Identifier: Apache-2.0 */
/* Why the container could not be made, in words. */
#ifndef INIT_REASON_H
#define INIT_REASON_H

#include <stddef.h>

struct reason {
	char *text;
	size_t size;
};

/* The words, and what @error means; returns that errno. */
int reason_give(struct reason *reason, int error, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

#endif
