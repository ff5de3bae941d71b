/* SPDX-License-Identifier: Apache-2.0 */
/* Bounds on the container's processes: a control group of their own. */
#ifndef INIT_GROUP_H
#define INIT_GROUP_H

#include <stdint.h>

/* Takes over a directory, that of the hierarchy as it was mounted first; -1: there is none. */
void group_take(int hierarchy);
/*
 * At most @most processes and threads; 0: no limit. Those that run already are
 * counted too, the init and what it forks for a session never fail by it.
 * 0, or an errno.
 */
int group_limit_pids(uint64_t most);
/* In a new child: it and all that it forks are counted. */
void group_join(void);

#endif
