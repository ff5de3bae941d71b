/* SPDX-License-Identifier: Apache-2.0 */
/* The fork, and the pipes or the terminal around it. */
#ifndef INIT_SPAWN_H
#define INIT_SPAWN_H

#include <stdint.h>

struct process;
struct spec;

/* Fills in the process's pid and descriptors. 0, or an errno and what failed. */
int spawn(struct process *process, const struct spec *spec, uint32_t flags, const char **text);

#endif
