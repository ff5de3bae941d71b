// SPDX-License-Identifier: Apache-2.0
/* Host files and host connections, through /dev/hostchan. */
#define _GNU_SOURCE
#include <drupe/hostchan.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>

#include "machine.h"

static int device = -1;

int machine_open(enum drupe_host_file file)
{
	struct hostchan_open wanted = { .index = file, .flags = O_CLOEXEC };
	int fd;

	/* Output to the log never waits; all others may, and the init must not. */
	if (file != DRUPE_HOST_LOG && file != DRUPE_HOST_STATUS)
		wanted.flags |= O_NONBLOCK;
	if (device < 0)
		device = open("/dev/hostchan", O_RDWR | O_CLOEXEC);
	if (device < 0)
		return -errno;
	fd = ioctl(device, HOSTCHAN_OPEN, &wanted);
	return fd < 0 ? -errno : fd;
}

int machine_accept(int control)
{
	uint32_t flags = O_CLOEXEC | O_NONBLOCK;
	int fd = ioctl(control, HOSTCHAN_ACCEPT, &flags);

	return fd < 0 ? -errno : fd;
}
