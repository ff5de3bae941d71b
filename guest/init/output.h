/* SPDX-License-Identifier: Apache-2.0 */
/* Output on its way from the process to the session and the log. */
#ifndef INIT_OUTPUT_H
#define INIT_OUTPUT_H

#include <stdbool.h>

struct process;

void output_init(struct process *process);
void output_begin(struct process *process);	/* after STARTED */
void output_resume(struct process *process);	/* there is room again, or nobody listens */
/* The process is gone: take what it left, without waiting for others. */
void output_drain(struct process *process);
bool output_open(const struct process *process);
void output_close(struct process *process);

#endif
