// SPDX-License-Identifier: Apache-2.0
/* What each frame means in each state of a session. */
#define _GNU_SOURCE
#include "request.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "boot.h"
#include "container.h"
#include "frame.h"
#include "health.h"
#include "input.h"
#include "machine.h"
#include "process.h"
#include "restart.h"
#include "session.h"
#include "spec.h"
#include "stats.h"

static const char out_of_order[] = "frame out of order";
static const uint32_t main_and_detached = DRUPE_START_MAIN | DRUPE_START_DETACHED;

static const char *take_hello(struct session *session, const uint8_t *payload)
{
	struct drupe_hello hello;

	memcpy(&hello, payload, sizeof(hello));
	if (hello.magic != DRUPE_MAGIC)
		return "wrong magic";
	if (hello.version != DRUPE_VERSION || hello.zero)
		return "unknown protocol version";
	session->state = SESSION_IDLE;
	return NULL;
}

static const char *take_restart(const uint8_t *payload)
{
	struct drupe_restart restart;

	memcpy(&restart, payload, sizeof(restart));
	if (restart.policy > DRUPE_RESTART_ALWAYS)
		return "unknown restart policy";
	restart_policy(&restart);
	return NULL;
}

/* What was said before BOOT is said anew. */
static const char *take_update(struct session *session, uint16_t type, const uint8_t *payload)
{
	struct drupe_limit limit;
	const char *why = NULL;
	int error = 0;

	if (session->state != SESSION_IDLE)
		return out_of_order;
	if (type == DRUPE_RESTART) {
		why = take_restart(payload);
	} else {
		memcpy(&limit, payload, sizeof(limit));
		if (limit.kind != DRUPE_LIMIT_PIDS || limit.zero)
			return "a limit that cannot change";
		error = machine_limit_pids(limit.value);
	}
	if (why)
		return why;
	if (error)
		session_fail(session, DRUPE_STAGE_REQUEST, error, "failed to limit processes");
	else
		session_send(session, DRUPE_DONE, NULL, 0);
	return NULL;
}

static const char *take_stats(struct session *session, const uint8_t *payload)
{
	static char text[DRUPE_FRAME_MAX];
	struct drupe_figures figures;
	struct drupe_stats stats;

	if (session->state != SESSION_IDLE)
		return out_of_order;
	memcpy(&stats, payload, sizeof(stats));
	switch (stats.kind) {
	case DRUPE_STATS_FIGURES:
		stats_figures(&figures);
		session_send(session, DRUPE_FIGURES, &figures, sizeof(figures));
		return NULL;
	case DRUPE_STATS_PROCESSES:
		session_send(session, DRUPE_FIGURES, text, stats_processes(text, sizeof(text)));
		return NULL;
	default:
		return "unknown kind of figures";
	}
}

static const char *take_boot(struct session *session, uint16_t type, const uint8_t *payload,
			     size_t size)
{
	char text[512];
	int error;

	if (!session->first || container.booted ||
	    (session->state != SESSION_IDLE && session->state != SESSION_BOOT))
		return out_of_order;
	if (type != DRUPE_BOOT) {
		session->state = SESSION_BOOT;
		if (type == DRUPE_RESTART)
			return take_restart(payload);
		if (type == DRUPE_HEALTH)
			return health_set(payload, size);
		return boot_add(&container.boot, type, payload, size);
	}
	error = machine_boot(&container.boot, text, sizeof(text));
	boot_clear(&container.boot);
	if (error) {
		session_fail(session, DRUPE_STAGE_BOOT, error, text);
		return NULL;
	}
	container.booted = true;
	container_status("running\n");
	session->state = SESSION_IDLE;
	session_send(session, DRUPE_READY, NULL, 0);
	return NULL;
}

static const char *take_spec(struct session *session, uint16_t type, const uint8_t *payload,
			     size_t size)
{
	if (!container.booted ||
	    (session->state != SESSION_IDLE && session->state != SESSION_SPEC))
		return out_of_order;
	session->state = SESSION_SPEC;
	if (!session->spec)
		session->spec = spec_new();
	if (!session->spec)
		return "out of memory";
	return spec_add(session->spec, type, payload, size);
}

static const char *take_start(struct session *session, const uint8_t *payload)
{
	struct drupe_start start;
	const char *why;

	if (session->state != SESSION_SPEC)
		return out_of_order;
	memcpy(&start, payload, sizeof(start));
	if (start.flags & ~DRUPE_START_KNOWN)
		return "unknown start flag";
	if ((start.flags & (DRUPE_START_HELD | DRUPE_START_FILES)) &&
	    (start.flags & (main_and_detached | DRUPE_START_STDIN)) != main_and_detached)
		return "only a detached main process is held, or has files";
	why = spec_check(session->spec);
	if (why)
		return why;
	session->state = SESSION_PROCESS;
	process_start(session, start.flags);
	return NULL;
}

static const char *take_stdin(struct session *session, uint16_t type, const uint8_t *payload,
			      size_t size)
{
	struct process *process = session->process;

	if (!process->takes_stdin && !session->taken_up)
		return "STDIN to a process without it";
	if (session->stdin_eof)
		return "STDIN after its end";
	if (type == DRUPE_STDIN_EOF) {
		session->stdin_eof = true;
		input_end(process);
		return NULL;
	}
	if (size > session->credit)
		return "more STDIN than credit";
	session->credit -= (uint32_t)size;
	input_take(process, payload, size);
	return NULL;
}

static const char *take_signal(struct session *session, uint16_t type, const uint8_t *payload)
{
	struct drupe_signal signal;
	int error;

	memcpy(&signal, payload, sizeof(signal));
	if (signal.number < 1 || signal.number > 64)
		return "no such signal";
	if (type == DRUPE_SIGNAL) {
		process_signal(session->process, (int)signal.number);
		return NULL;
	}
	if (signal.number == SIGKILL)
		restart_never();
	if (type == DRUPE_KILL_ALL && container.main)
		error = machine_signal_all((int)signal.number);
	else
		error = container.main ? process_signal(container.main, (int)signal.number) : ESRCH;
	if (error)
		session_fail(session, DRUPE_STAGE_REQUEST, error, "no main process to signal");
	else
		session_send(session, DRUPE_DONE, NULL, 0);
	return NULL;
}

static const char *take_release(struct session *session)
{
	if (session->state != SESSION_IDLE)
		return out_of_order;
	process_release(session, container.main);
	return NULL;
}

static const char *take_attach(struct session *session)
{
	if (session->state != SESSION_IDLE)
		return out_of_order;
	process_attach(session, container.main);
	return NULL;
}

static const char *take_stop(struct session *session, const uint8_t *payload)
{
	struct drupe_stop stop;

	memcpy(&stop, payload, sizeof(stop));
	if (stop.signal < 1 || stop.signal > 64)
		return "no such signal";
	session->state = SESSION_STOP;
	container_stop((int)stop.signal, stop.grace_ms);
	return NULL;
}

static const char *take_file(struct session *session, const uint8_t *payload, size_t size)
{
	struct file_text file;
	const char *why = file_parse(payload, size, &file);
	int error;

	if (why)
		return why;
	error = container.booted ? machine_update(&file) : ENOENT;
	if (error)
		session_fail(session, DRUPE_STAGE_REQUEST, error, "no such file to update");
	else
		session_send(session, DRUPE_DONE, NULL, 0);
	return NULL;
}

static const char *take_running(struct session *session, uint16_t type, const uint8_t *payload,
				size_t size)
{
	struct drupe_window window;

	if (session->state != SESSION_PROCESS || !session->process)
		return out_of_order;
	switch (type) {
	case DRUPE_STDIN:
	case DRUPE_STDIN_EOF:
		return take_stdin(session, type, payload, size);
	case DRUPE_SIGNAL:
		return take_signal(session, type, payload);
	case DRUPE_WINDOW:
		memcpy(&window, payload, sizeof(window));
		process_window(session->process, &window);
		return NULL;
	default:
		session->process->detached = true;
		return NULL;
	}
}

const char *request_take(struct session *session, uint16_t type, const uint8_t *payload,
			 size_t size)
{
	if (session->state == SESSION_HELLO)
		return type == DRUPE_HELLO ? take_hello(session, payload) : "no HELLO";
	switch (type) {
	case DRUPE_HOSTNAME:
	case DRUPE_DOMAINNAME:
	case DRUPE_MOUNT:
	case DRUPE_BOOT:
	case DRUPE_INTERFACE:
	case DRUPE_ADDRESS:
	case DRUPE_ROUTE:
	case DRUPE_FILE:
	case DRUPE_SYSCTL:
	case DRUPE_HEALTH:
		return take_boot(session, type, payload, size);
	case DRUPE_ARG:
	case DRUPE_ENV:
	case DRUPE_CWD:
	case DRUPE_USER:
	case DRUPE_GROUP:
	case DRUPE_RLIMIT:
	case DRUPE_CAPABILITIES:
	case DRUPE_CAPABILITY_SETS:
	case DRUPE_UMASK:
	case DRUPE_OOM:
	case DRUPE_TERMINAL:
		return take_spec(session, type, payload, size);
	case DRUPE_START:
		return take_start(session, payload);
	case DRUPE_STDIN:
	case DRUPE_STDIN_EOF:
	case DRUPE_SIGNAL:
	case DRUPE_WINDOW:
	case DRUPE_DETACH:
		return take_running(session, type, payload, size);
	case DRUPE_KILL:
	case DRUPE_KILL_ALL:
		return session->state == SESSION_IDLE ? take_signal(session, type, payload)
						      : out_of_order;
	case DRUPE_LIMIT:
	case DRUPE_RESTART:
		return container.booted ? take_update(session, type, payload)
					: take_boot(session, type, payload, size);
	case DRUPE_STATS:
		return take_stats(session, payload);
	case DRUPE_FILE_UPDATE:
		return session->state == SESSION_IDLE ? take_file(session, payload, size)
						      : out_of_order;
	case DRUPE_ATTACH:
		return take_attach(session);
	case DRUPE_RELEASE:
		return take_release(session);
	case DRUPE_STOP:
		return session->state == SESSION_IDLE || session->state == SESSION_STOP
			? take_stop(session, payload) : out_of_order;
	default:
		return out_of_order;
	}
}
