// SPDX-License-Identifier: Apache-2.0
/*
 * The container kernel below the init. No OOM score is set: the kernel never
 * picks process 1.
 */
#define _GNU_SOURCE
#include "machine.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "boot.h"
#include "etc.h"
#include "group.h"
#include "mounts.h"
#include "network.h"
#include "upper.h"
#include "services.h"

#define FILES_SOFT	1024		/* more than select() takes is asked for */
#define FILES_HARD	(1 << 20)	/* the kernel's own bound, fs.nr_open */

static int pts = -1;
static int proc = -1;

void machine_init(void)
{
	/* Of all processes; Linux's own is 4096, which servers find too little */
	const struct rlimit files = { FILES_SOFT, FILES_HARD };
	int fd;

	setrlimit(RLIMIT_NOFILE, &files);
	/* Control-Alt-Delete is nobody's here. */
	reboot(RB_DISABLE_CAD);
	mkdir("/dev", 0755);
	mkdir("/proc", 0555);
	mount("devtmpfs", "/dev", "devtmpfs", 0, NULL);
	mount("proc", "/proc", "proc", 0, NULL);
	/* An initramfs may hold no console: 0 to 2 must not become something else. */
	do {
		fd = open("/dev/console", O_RDWR | O_NOCTTY | O_CLOEXEC);
		if (fd < 0)
			fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	} while (fd >= 0 && fd < 3);
	if (fd >= 3)
		close(fd);
	proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
}

static int write_sysctl(const struct boot_sysctl *entry, char *text, size_t size)
{
	char path[1024];
	ssize_t length = (ssize_t)strlen(entry->value);
	int error = 0;
	int fd;

	/* Not the container's, which may be read-only by now. */
	snprintf(path, sizeof(path), "sys/%s", entry->path);
	fd = openat(proc, path, O_WRONLY | O_CLOEXEC);
	if (fd < 0 || write(fd, entry->value, (size_t)length) != length)
		error = errno;
	if (fd >= 0)
		close(fd);
	if (error)
		snprintf(text, size, "failed to set kernel setting '%.200s' to '%.100s': %s",
			 entry->path, entry->value, strerror(error));
	return error;
}

int machine_boot(const struct boot *boot, char *text, size_t size)
{
	int error = mounts_make(boot, &pts, text, size);

	network_open_to_all();
	for (uint32_t i = 0; i < boot->sysctl_count && !error; i++)
		error = write_sysctl(&boot->sysctls[i], text, size);
	if (error)
		return error;
	if (boot->pids) {
		error = group_limit_pids(boot->pids);
		if (error) {
			snprintf(text, size, "failed to limit processes: %s", strerror(error));
			return error;
		}
	}
	if (boot->hostname[0] && sethostname(boot->hostname, strlen(boot->hostname)) < 0) {
		error = errno;
		snprintf(text, size, "failed to set host name '%s': %s", boot->hostname,
			 strerror(error));
		return error;
	}
	if (boot->domainname[0] && setdomainname(boot->domainname, strlen(boot->domainname)) < 0) {
		error = errno;
		snprintf(text, size, "failed to set domain name '%s': %s", boot->domainname,
			 strerror(error));
		return error;
	}
	return network_make(&boot->network, text, size);
}

int machine_update(const struct file_text *file)
{
	return etc_update(file);
}

void machine_layers(struct layers *layers)
{
	*layers = mounts_layers;
}

int machine_proc(void)
{
	return proc;
}

int machine_ptmx(void)
{
	int fd = -1;

	if (pts < 0)
		return -ENODEV;
	fd = openat(pts, "ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

void machine_child(void)
{
	group_join();
}

int machine_limit_pids(uint64_t most)
{
	return group_limit_pids(most);
}

void machine_exit_status(int status)
{
	char text[16];
	int fd = openat(proc, "exitcode", O_WRONLY | O_CLOEXEC);

	snprintf(text, sizeof(text), "%d\n", status);
	if (fd >= 0) {
		(void)!write(fd, text, strlen(text));
		close(fd);
	}
}

int machine_signal_all(int signal)
{
	return kill(-1, signal) < 0 ? errno : 0;
}

_Noreturn void machine_power_off(void)
{
	bool settled = upper_settle();

	/* sync() is what matters; the rest is for a root that notes a clean end. */
	sync();
	if (!settled)
		mount(NULL, "/", NULL, MS_REMOUNT | MS_RDONLY, NULL);
	for (;;) {
		reboot(RB_POWER_OFF);
		pause();
	}
}
