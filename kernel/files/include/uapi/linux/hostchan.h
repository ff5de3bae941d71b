/* SPDX-License-Identifier: GPL-2.0-only WITH Linux-syscall-note */
/*
 * /dev/hostchan: host files that User-Mode Linux was started with, as file
 * descriptors of the guest.
 */
#ifndef _UAPI_LINUX_HOSTCHAN_H
#define _UAPI_LINUX_HOSTCHAN_H

#include <linux/ioctl.h>
#include <linux/types.h>

/**
 * struct hostchan_open - argument of HOSTCHAN_OPEN
 * @index: which entry of hostchan.fds=, from 0
 * @flags: O_CLOEXEC, O_NONBLOCK
 */
struct hostchan_open {
	__u32 index;
	__u32 flags;
};

/* On /dev/hostchan: a new descriptor of a host file. */
#define HOSTCHAN_OPEN	_IOW('d', 0, struct hostchan_open)
/*
 * On a descriptor of a listening socket: a new descriptor of its next
 * connection. The argument points to flags as above.
 */
#define HOSTCHAN_ACCEPT	_IOW('d', 1, __u32)

#endif /* _UAPI_LINUX_HOSTCHAN_H */
