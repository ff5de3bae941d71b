/* SPDX-License-Identifier: Apache-2.0 */
/* The container as a whole: its main process, its end. */
#ifndef INIT_CONTAINER_H
#define INIT_CONTAINER_H

#include <stdbool.h>
#include <stdint.h>

#include "boot.h"

struct process;

struct container {
	bool booted;
	bool first_gone;
	bool main_ever;		/* the main process was executed */
	bool held;		/* the main process was held once */
	bool ending;		/* all are killed; what remains is delivered */
	bool restarting;	/* between two runs of the main process */
	struct process *main;	/* from START until it is freed */
	struct boot boot;
};

extern struct container container;

void container_init(void);
void container_status(const char *line);
void container_running(void);		/* to the status file, with restarts and health */
/* @word and a wait status, to the status file. */
void container_status_end(const char *word, int status);
void container_progress(void);		/* the host took bytes, a process went */
void container_first_gone(void);
void container_stop(int signal, uint32_t grace_ms);
void container_end(void);		/* kill all, deliver, power off */
void container_sweep(void);		/* after each turn of the loop */

#endif
