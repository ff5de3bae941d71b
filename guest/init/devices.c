// SPDX-License-Identifier: Apache-2.0
/* The container's /dev: what every program may expect there. */
#define _GNU_SOURCE
#include "devices.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "place.h"

static const struct {
	const char *name;
	unsigned int minor;
	unsigned int major;
} nodes[] = {
	{ "null", 3, 1 },
	{ "zero", 5, 1 },
	{ "full", 7, 1 },
	{ "random", 8, 1 },
	{ "urandom", 9, 1 },
	{ "tty", 0, 5 },
	{ "fuse", 229, 10 },
	{ "net/tun", 200, 10 },
};

static const struct {
	const char *name;
	const char *target;
} links[] = {
	{ "ptmx", "pts/ptmx" },
	{ "fd", "/proc/self/fd" },
	{ "stdin", "/proc/self/fd/0" },
	{ "stdout", "/proc/self/fd/1" },
	{ "stderr", "/proc/self/fd/2" },
};

static int mount_below(int dev, const char *name, const char *type, unsigned long flags,
		       const char *options)
{
	int place = place_open(dev, name);
	int error = 0;

	if (place < 0)
		return errno;
	if (place_mount(place, type, type, flags, options) < 0)
		error = errno;
	close(place);
	return error;
}

static int fill(int dev, uint64_t shm_bytes, int *pts)
{
	char options[64] = "mode=1777";
	int error;

	if (mkdirat(dev, "net", 0755) < 0)
		return errno;
	for (size_t i = 0; i < sizeof(nodes) / sizeof(nodes[0]); i++)
		if (mknodat(dev, nodes[i].name, S_IFCHR | 0666,
			    makedev(nodes[i].major, nodes[i].minor)) < 0)
			return errno;
	for (size_t i = 0; i < sizeof(links) / sizeof(links[0]); i++)
		if (symlinkat(links[i].target, dev, links[i].name) < 0)
			return errno;
	if (shm_bytes)
		snprintf(options, sizeof(options), "mode=1777,size=%llu",
			 (unsigned long long)shm_bytes);
	error = mount_below(dev, "shm", "tmpfs", MS_NOSUID | MS_NODEV, options);
	if (error)
		return error;
	/* A fitted kernel may lack these two: then the container has none. */
	mount_below(dev, "mqueue", "mqueue", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
	if (mount_below(dev, "pts", "devpts", MS_NOSUID | MS_NOEXEC,
			"newinstance,ptmxmode=0666,mode=620,gid=5") == 0)
		*pts = openat(dev, "pts", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return 0;
}

int devices_make(int root, uint64_t shm_bytes, int *pts)
{
	mode_t mask = umask(0);
	int error = mount_below(root, "dev", "tmpfs", MS_NOSUID, "mode=755");
	int dev;

	if (!error) {
		dev = place_open(root, "dev");
		error = dev < 0 ? errno : fill(dev, shm_bytes, pts);
		if (dev >= 0)
			close(dev);
	}
	umask(mask);
	return error;
}
