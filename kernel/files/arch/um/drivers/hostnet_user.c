// SPDX-License-Identifier: GPL-2.0-only
/* The host network driver's side of the host. */

#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include "hostnet_user.h"

/**
 * hostnet_tell() - whether the host tells by a signal that there is something
 * @fd:	its descriptor
 * @on:	it does
 */
int hostnet_tell(int fd, int on)
{
	return fcntl(fd, F_SETFL, O_RDWR | O_NONBLOCK | (on ? O_ASYNC : 0)) < 0 ? -errno : 0;
}
