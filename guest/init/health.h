/* SPDX-License-Identifier: Apache-2.0 */
/* Health checks: a command that is run again and again beside the main process. */
#ifndef INIT_HEALTH_H
#define INIT_HEALTH_H

#include <drupe/protocol.h>
#include <stdbool.h>
#include <stddef.h>

struct process;

/* A HEALTH payload. NULL, or the rule that it breaks. */
const char *health_set(const uint8_t *payload, size_t size);
/* The main process runs; whether there are checks, whose state is then told. */
bool health_begin(void);
void health_end(void);			/* it does no longer */
void health_output(const uint8_t *data, size_t size);
/* A check is over; @status as of wait(), or -1: it could not be started. */
void health_result(int status);
/* " STATE OUTPUT" for the status line; empty without checks. */
const char *health_text(void);

#endif
