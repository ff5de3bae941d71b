/* SPDX-License-Identifier: Apache-2.0 */
/* What each frame means in each state of a session. */
#ifndef INIT_REQUEST_H
#define INIT_REQUEST_H

#include <stddef.h>
#include <stdint.h>

struct session;

/* Carries out one well-shaped frame. NULL, or the rule that it breaks. */
const char *request_take(struct session *session, uint16_t type, const uint8_t *payload,
			 size_t size);

#endif
