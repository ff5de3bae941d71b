// SPDX-License-Identifier: Apache-2.0
/*
 * The child between fork() and execve(). All that may block or fail on what
 * the container's files hold (its passwd, its directories) happens here, never
 * in the init itself.
 */
#define _GNU_SOURCE
#include "child.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "exec.h"
#include "machine.h"
#include "services.h"
#include "spec.h"
#include "user.h"

#ifndef TIOCGPTPEER
#define TIOCGPTPEER	0x5441
#endif

/* What the init has open at most; see PROCESSES_MAX. */
#define DESCRIPTORS_MAX	1024

/* From linux/capability.h, which musl does not bring. */
#define CAPABILITY_VERSION	0x20080522

struct capability_header {
	uint32_t version;
	int pid;
};

struct capability_words {
	uint32_t effective;
	uint32_t permitted;
	uint32_t inheritable;
};

static int report_fd;

static _Noreturn void fail(enum drupe_stage stage, int number, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static _Noreturn void fail(enum drupe_stage stage, int number, const char *format, ...)
{
	struct child_report report = { .stage = stage, .number = number };
	va_list args;

	va_start(args, format);
	vsnprintf(report.text, sizeof(report.text), format, args);
	va_end(args);
	(void)!write(report_fd, &report, sizeof(report));
	_exit(127);
}

static int open_slave(int master)
{
	int slave = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);

	if (slave < 0 || ioctl(slave, TIOCSCTTY, 0) < 0)
		fail(DRUPE_STAGE_PROCESS, errno, "failed to open the terminal: %s",
		     strerror(errno));
	return slave;
}

static void set_stdio(const struct child *child)
{
	int in = child->in;
	int out = child->out;
	int err = child->err;

	if (child->master >= 0) {
		in = open_slave(child->master);
		out = in;
		err = in;
	} else if (in < 0) {
		in = open("/dev/null", O_RDONLY | O_CLOEXEC);
		if (in < 0)
			fail(DRUPE_STAGE_PROCESS, errno, "failed to open '/dev/null': %s",
			     strerror(errno));
	}
	if (dup2(in, 0) < 0 || dup2(out, 1) < 0 || dup2(err, 2) < 0)
		fail(DRUPE_STAGE_PROCESS, errno, "failed to set up stdio: %s", strerror(errno));
}

/* As the engines do: the user may open its own /dev/stdout. */
static void own_stdio(const struct child *child, const struct user *user)
{
	for (int fd = 0; fd < 3; fd++)
		if (fd || child->in >= 0 || child->master >= 0)
			(void)!fchown(fd, user->uid, (gid_t)-1);
}

static void find_user(const struct spec *spec, struct user *user)
{
	char **groups = texts_vector(&spec->groups, 0);
	const char *why;

	if (!groups)
		fail(DRUPE_STAGE_PROCESS, ENOMEM, "out of memory");
	why = user_find(user, spec->user ? spec->user : "", groups);
	if (why)
		fail(DRUPE_STAGE_PROCESS, 0, "%s '%.128s'", why, user->culprit);
	free(groups);
}

static void enter_directory(const char *path)
{
	char *copy = strdup(path);

	if (!copy)
		fail(DRUPE_STAGE_PROCESS, ENOMEM, "out of memory");
	if (chdir(path) == 0)
		return;
	for (char *at = copy + 1; *at; at++) {
		if (*at != '/')
			continue;
		*at = 0;
		mkdir(copy, 0755);
		*at = '/';
	}
	mkdir(copy, 0755);
	free(copy);
	if (chdir(path) < 0)
		fail(DRUPE_STAGE_PROCESS, errno, "failed to enter '%.160s': %s", path,
		     strerror(errno));
}

static void set_rlimits(const struct spec *spec)
{
	for (int i = 0; i < SPEC_RLIMITS; i++) {
		struct rlimit limit = {
			.rlim_cur = spec->rlimits[i].soft,
			.rlim_max = spec->rlimits[i].hard,
		};

		if (spec->rlimit_set[i] && setrlimit(i, &limit) < 0)
			fail(DRUPE_STAGE_PROCESS, errno, "failed to set resource limit %d: %s", i,
			     strerror(errno));
	}
}

static void set_oom_score(const struct spec *spec)
{
	char text[16];
	int fd;

	if (!spec->oom_set)
		return;
	snprintf(text, sizeof(text), "%d", (int)spec->oom.score - 1000);
	fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		fail(DRUPE_STAGE_PROCESS, errno, "failed to set the OOM score to %s: %s", text,
		     strerror(errno));
	close(fd);
}

static bool keeps(const struct spec *spec, int capability)
{
	return !spec->capabilities_set || spec->capabilities.kept >> capability & 1;
}

/* What no execve() can give back; needs CAP_SETPCAP, hence before the user changes. */
static void bound_capabilities(const struct spec *spec)
{
	for (int i = 0; i < 64 && prctl(PR_CAPBSET_READ, i, 0, 0, 0) >= 0; i++)
		if (!keeps(spec, i) && prctl(PR_CAPBSET_DROP, i, 0, 0, 0) < 0)
			fail(DRUPE_STAGE_PROCESS, errno, "failed to drop capability %d: %s", i,
			     strerror(errno));
}

static void keep_capabilities(const struct spec *spec)
{
	struct capability_header header = { .version = CAPABILITY_VERSION };
	struct capability_words words[2];

	if (!spec->capabilities_set)
		return;
	if (syscall(SYS_capget, &header, words) < 0)
		fail(DRUPE_STAGE_PROCESS, errno, "failed to read capabilities: %s",
		     strerror(errno));
	for (int i = 0; i < 2; i++) {
		uint32_t kept = (uint32_t)(spec->capabilities.kept >> (32 * i));

		words[i].permitted &= kept;
		words[i].effective &= words[i].permitted;
		if (!spec->sets_set)
			words[i].inheritable = 0;
	}
	if (syscall(SYS_capset, &header, words) < 0 ||
	    (spec->capabilities.no_new_privs && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0))
		fail(DRUPE_STAGE_PROCESS, errno, "failed to limit capabilities: %s",
		     strerror(errno));
}

/* Before the user changes. */
static void bound_sets(const struct spec *spec)
{
	for (int i = 0; i < 64 && prctl(PR_CAPBSET_READ, i, 0, 0, 0) >= 0; i++)
		if (!(spec->sets.bounding >> i & 1) && prctl(PR_CAPBSET_DROP, i, 0, 0, 0) < 0)
			fail(DRUPE_STAGE_PROCESS, errno, "failed to drop capability %d: %s", i,
			     strerror(errno));
	if (prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0) < 0)
		fail(DRUPE_STAGE_PROCESS, errno, "failed to keep capabilities: %s",
		     strerror(errno));
}

/* After that. What the kernel does not know is left out, as other runtimes do. */
static void take_sets(const struct drupe_capability_sets *sets)
{
	struct capability_header header = { .version = CAPABILITY_VERSION };
	struct capability_words words[2];

	if (syscall(SYS_capget, &header, words) < 0)
		fail(DRUPE_STAGE_PROCESS, errno, "failed to read capabilities: %s",
		     strerror(errno));
	for (int i = 0; i < 2; i++) {
		words[i].permitted &= (uint32_t)(sets->permitted >> (32 * i));
		words[i].effective = words[i].permitted & (uint32_t)(sets->effective >> (32 * i));
		words[i].inheritable = (uint32_t)(sets->inheritable >> (32 * i)) &
				       (uint32_t)(sets->bounding >> (32 * i));
	}
	if (syscall(SYS_capset, &header, words) < 0)
		fail(DRUPE_STAGE_PROCESS, errno, "failed to set capabilities: %s",
		     strerror(errno));
	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	for (int i = 0; i < 64; i++)
		if (sets->ambient >> i & 1)
			prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, i, 0, 0);
}

static void become(const struct spec *spec, const struct user *user)
{
	/* The fake guest of the tests may run without rights. */
	if (geteuid() != 0)
		return;
	bound_capabilities(spec);
	if (spec->sets_set)
		bound_sets(spec);
	if (setgroups(user->count, user->groups) < 0 || setgid(user->gid) < 0 ||
	    setuid(user->uid) < 0)
		fail(DRUPE_STAGE_PROCESS, errno, "failed to become user %u: %s", user->uid,
		     strerror(errno));
	if (spec->sets_set)
		take_sets(&spec->sets);
	keep_capabilities(spec);
}

static bool has(char **env, const char *name)
{
	size_t length = strlen(name);

	for (; *env; env++)
		if (!strncmp(*env, name, length) && (*env)[length] == '=')
			return true;
	return false;
}

static char **environment(const struct child *child, const struct user *user)
{
	uint32_t count = child->spec->env.count;
	char **env = texts_vector(&child->spec->env, 2);
	char *home = NULL;

	if (!env)
		fail(DRUPE_STAGE_PROCESS, ENOMEM, "out of memory");
	if (!has(env, "HOME")) {
		if (asprintf(&home, "HOME=%s", user->home) < 0)
			fail(DRUPE_STAGE_PROCESS, ENOMEM, "out of memory");
		env[count++] = home;
	}
	if (child->master >= 0 && !has(env, "TERM"))
		env[count++] = (char *)"TERM=xterm";
	return env;
}

/* A service of the init's own: no program, so nothing is closed by execve(). */
static _Noreturn void serve(char **args)
{
	struct layers layers;
	sigset_t none;
	int service = service_find(args);

	if (service < 0)
		fail(DRUPE_STAGE_EXEC, ENOENT, "failed to find service '%.160s': %s", args[0],
		     strerror(ENOENT));
	machine_layers(&layers);
	if (chdir("/") < 0)
		fail(DRUPE_STAGE_PROCESS, errno, "failed to enter '/': %s", strerror(errno));
	for (int fd = 3; fd < DESCRIPTORS_MAX; fd++)
		if (fd != report_fd && fd != layers.lower && fd != layers.upper)
			close(fd);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	/* Its end says that the service runs. */
	close(report_fd);
	_exit(service_run(service, args, &layers));
}

/* All but the program: that there is one is known, and signals end it, too. */
static void wait_for_release(const struct child *child, char **args, char **env)
{
	struct child_report report = { 0 };
	int error = exec_look(args, env);
	ssize_t size;
	char byte;

	if (error)
		fail(DRUPE_STAGE_EXEC, error, "failed to execute '%.160s': %s", args[0],
		     strerror(error));
	(void)!write(report_fd, &report, sizeof(report));
	do {
		size = read(child->go, &byte, 1);
	} while (size < 0 && errno == EINTR);
	if (size != 1)
		_exit(127);
}

_Noreturn void child_run(const struct child *child)
{
	const struct spec *spec = child->spec;
	char **args = texts_vector(&spec->args, 0);
	struct user user;
	char **env;
	sigset_t none;
	int error;

	report_fd = child->report;
	machine_child();
	if (!args)
		fail(DRUPE_STAGE_PROCESS, ENOMEM, "out of memory");
	setsid();
	set_stdio(child);
	if (child->helper)
		serve(args);
	find_user(spec, &user);
	own_stdio(child, &user);
	env = environment(child, &user);
	umask(022);
	enter_directory(spec->cwd ? spec->cwd : "/");
	set_oom_score(spec);
	set_rlimits(spec);
	become(spec, &user);
	if (spec->umask_set)
		umask(spec->umask.mask);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	if (child->go >= 0)
		wait_for_release(child, args, env);
	error = exec_search(args, env);
	fail(DRUPE_STAGE_EXEC, error, "failed to execute '%.160s': %s", args[0], strerror(error));
}
