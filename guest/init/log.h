/* SPDX-License-Identifier: Apache-2.0 */
/* The container's log: the main process's output in the CRI format. */
#ifndef INIT_LOG_H
#define INIT_LOG_H

#include <stddef.h>
#include <stdint.h>

void log_open(int fd);	/* -1: there is none */
/* Between begin and end, takes come as one batch with one timestamp. */
void log_begin(void);
void log_take(int is_stderr, const uint8_t *data, size_t size);
void log_end(void);
/* The streams have ended: write what is left of their last lines. */
void log_finish(void);

#endif
