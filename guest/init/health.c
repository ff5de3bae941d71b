// SPDX-License-Identifier: Apache-2.0
/*
 * Health checks. A check that ends with status 0 in time is good, all others
 * are bad; so many bad ones in a row make the container unhealthy. While it
 * starts, bad ones do not count until a good one has come.
 */
#include "health.h"

#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "container.h"
#include "loop.h"
#include "process.h"
#include "restart.h"
#include "spec.h"

#define OUTPUT_MOST	512

static const char *const names[] = { "starting", "healthy", "unhealthy" };

static struct drupe_health check;
static struct texts args;
static bool on;
static enum { STARTING, HEALTHY, UNHEALTHY } state;
static uint32_t failures;
static int64_t begun_ms;
static struct process *running;
static struct timer next;
static struct timer timeout;
static char output[OUTPUT_MOST + 1];
static size_t output_used;

const char *health_set(const uint8_t *payload, size_t size)
{
	const uint8_t *end = payload + size;
	const uint8_t *at = payload + sizeof(check);
	const char *why = NULL;

	if (on)
		return "a frame that may come once came twice";
	memcpy(&check, payload, sizeof(check));
	if (!check.interval_ms || !check.timeout_ms || !check.retries || at == end || end[-1])
		return "not a health check";
	for (; at < end && !why; at += strlen((const char *)at) + 1)
		why = texts_add(&args, at, strlen((const char *)at), DRUPE_COUNT_MAX);
	on = !why;
	return why;
}

static void set_state(int wanted)
{
	if ((int)state == wanted)
		return;
	state = wanted;
	container_running();
}

static bool starting(void)
{
	return state == STARTING && clock_ms() - begun_ms < check.start_period_ms;
}

static void end_check(struct timer *expired)
{
	(void)expired;
	if (running)
		kill(-running->pid, SIGKILL);
}

static void begin_check(struct timer *expired)
{
	struct spec spec;
	const char *text;

	(void)expired;
	if (!restart_spec() || container.ending || container.restarting)
		return;
	spec = *restart_spec();
	spec.args = args;
	spec.terminal = false;
	output_used = 0;
	running = process_start_check(&spec, &text);
	if (running)
		timer_start(&timeout, clock_ms() + check.timeout_ms, end_check);
	else
		health_result(-1);
}

static void schedule(void)
{
	uint32_t wait_ms = check.interval_ms;

	if (starting() && check.start_interval_ms && check.start_interval_ms < wait_ms)
		wait_ms = check.start_interval_ms;
	timer_start(&next, clock_ms() + wait_ms, begin_check);
}

bool health_begin(void)
{
	if (!on)
		return false;
	state = STARTING;
	failures = 0;
	output_used = 0;
	begun_ms = clock_ms();
	container_running();
	schedule();
	return true;
}

void health_end(void)
{
	timer_stop(&next);
	timer_stop(&timeout);
	running = NULL;
}

void health_output(const uint8_t *data, size_t size)
{
	while (size-- && output_used < OUTPUT_MOST) {
		char byte = (char)*data++;

		output[output_used++] = byte >= ' ' && byte <= '~' ? byte : ' ';
	}
}

void health_result(int status)
{
	running = NULL;
	timer_stop(&timeout);
	if (!container.main || container.ending || container.restarting)
		return;
	if (status >= 0 && WIFEXITED(status) && !WEXITSTATUS(status)) {
		failures = 0;
		set_state(HEALTHY);
	} else if (!starting() && ++failures >= check.retries) {
		set_state(UNHEALTHY);
	}
	schedule();
}

const char *health_text(void)
{
	static char text[OUTPUT_MOST + 32];

	if (!on)
		return "";
	output[output_used] = 0;
	snprintf(text, sizeof(text), " %s %s", names[state], output);
	return text;
}
