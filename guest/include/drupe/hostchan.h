/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The guest's view of the host channel device, /dev/hostchan: host files that
 * the container kernel was started with (hostchan.fds=FD,FD,... on its
 * command line) as guest file descriptors. Mirrors the container kernel's
 * include/uapi/linux/hostchan.h.
 *
 * HOSTCHAN_OPEN takes an index into that list and returns a new descriptor.
 * HOSTCHAN_ACCEPT, on a descriptor of a listening socket, returns a new
 * descriptor for the next connection, or fails with EAGAIN where O_NONBLOCK
 * is set and none is waiting. read, write, poll and epoll work on all; flags
 * in the upper bits may hold O_CLOEXEC and O_NONBLOCK.
 */
#ifndef DRUPE_HOSTCHAN_H
#define DRUPE_HOSTCHAN_H

#include <stdint.h>
#include <sys/ioctl.h>

struct hostchan_open {
	uint32_t index;
	uint32_t flags;		/* O_CLOEXEC, O_NONBLOCK */
};

#define HOSTCHAN_OPEN	_IOW('d', 0, struct hostchan_open)
#define HOSTCHAN_ACCEPT	_IOW('d', 1, uint32_t)	/* O_CLOEXEC, O_NONBLOCK */

#endif
