// SPDX-License-Identifier: Apache-2.0
/*
 * The restart of the main process: as docker does it, after 100 ms that double
 * up to a minute, and begin anew when it has run for ten seconds.
 */
#include "restart.h"

#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/wait.h>

#include "container.h"
#include "health.h"
#include "loop.h"
#include "machine.h"
#include "process.h"
#include "spec.h"

#define DELAY_LEAST_MS	100
#define DELAY_MOST_MS	60000
#define LASTING_MS	10000

static struct drupe_restart policy;
static bool never;
static struct spec *kept;
static uint32_t kept_flags;
static uint32_t count;
static int64_t started_ms;
static int64_t delay_ms;
static int last_status;
static bool waiting;
static struct timer timer;

void restart_policy(const struct drupe_restart *wanted)
{
	policy = *wanted;
}

void restart_keep(struct spec *spec, uint32_t flags)
{
	spec_free(kept);
	kept = spec;
	kept_flags = (flags & DRUPE_START_LOG) | DRUPE_START_MAIN | DRUPE_START_DETACHED;
}

const struct spec *restart_spec(void)
{
	return kept;
}

void restart_never(void)
{
	never = true;
}

uint32_t restart_count(void)
{
	return count;
}

void restart_started(void)
{
	started_ms = clock_ms();
	/* Checks tell for themselves. */
	if (!health_begin() && count)
		container_running();
}

bool restart_wanted(int status)
{
	bool failed = !WIFEXITED(status) || WEXITSTATUS(status);

	if (never || container.ending || !kept)
		return false;
	if (policy.policy == DRUPE_RESTART_ON_FAILURE)
		return failed && (!policy.attempts || count < policy.attempts);
	return policy.policy == DRUPE_RESTART_ALWAYS;
}

static void start(struct timer *expired)
{
	const char *text;
	int error;

	(void)expired;
	waiting = false;
	container.restarting = false;
	/* What was started in between is not of the new run. */
	machine_signal_all(SIGKILL);
	error = process_start_alone(kept, kept_flags, &text);
	if (error)
		restart_schedule(last_status);
}

void restart_schedule(int status)
{
	if (clock_ms() - started_ms >= LASTING_MS)
		delay_ms = 0;
	delay_ms = delay_ms ? delay_ms * 2 : DELAY_LEAST_MS;
	if (delay_ms > DELAY_MOST_MS)
		delay_ms = DELAY_MOST_MS;
	count++;
	last_status = status;
	waiting = true;
	container.restarting = true;
	container_status_end("restarting", status);
	timer_start(&timer, clock_ms() + delay_ms, start);
}

bool restart_waiting(int *status)
{
	*status = last_status;
	return waiting;
}
