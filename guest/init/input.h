/* SPDX-License-Identifier: Apache-2.0 */
/* STDIN on its way from the session to the process. */
#ifndef INIT_INPUT_H
#define INIT_INPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct process;

void input_init(struct process *process);
/* @size was checked against the session's credit. */
void input_take(struct process *process, const uint8_t *data, size_t size);
bool input_room(const struct process *process);	/* for a whole window */
void input_end(struct process *process);	/* no more is to come */
void input_close(struct process *process);

#endif
