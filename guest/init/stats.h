/* SPDX-License-Identifier: Apache-2.0 */
/* Figures of the container, and its processes: what "stats" and "top" show. */
#ifndef INIT_STATS_H
#define INIT_STATS_H

#include <drupe/protocol.h>
#include <stddef.h>

void stats_figures(struct drupe_figures *figures);
/*
 * A line for each process but the init: PID PPID UID STATE TICKS START_TICKS
 * RSS_PAGES and its command. What does not fit into @size bytes is left out. Returns the bytes.
 */
size_t stats_processes(char *text, size_t size);

#endif
