/* SPDX-License-Identifier: Apache-2.0 */
/* Whether the main process is started again when it has ended, and when. */
#ifndef INIT_RESTART_H
#define INIT_RESTART_H

#include <drupe/protocol.h>
#include <stdbool.h>

struct spec;

/* The policy, from boot or from an update. */
void restart_policy(const struct drupe_restart *policy);
/* Takes what the main process was started with; it is kept for good. */
void restart_keep(struct spec *spec, uint32_t flags);
const struct spec *restart_spec(void);
void restart_never(void);		/* somebody wants the container to end */
uint32_t restart_count(void);

void restart_started(void);		/* the main process runs */
/* The main process ended so; true: it will be started again, all others are killed. */
bool restart_wanted(int status);
void restart_schedule(int status);	/* it is buried: wait, then start it */
/* Between two runs: the container ends with what the last one left. */
bool restart_waiting(int *status);

#endif
