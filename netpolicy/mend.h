/* SPDX-License-Identifier: Apache-2.0 */
/* What older versions of passt get wrong, mended on its way out of the process. */
#ifndef NETPOLICY_MEND_H
#define NETPOLICY_MEND_H

#include <netinet/in.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/types.h>

/* Frames for the guest, one a vector or a part of one; small ones may be changed. */
void mend_frames(const struct msghdr *message);
/* sendmsg() of @size bytes that names no peer, on a stream. */
ssize_t mend_send(int fd, const struct msghdr *message, int flags, size_t size);
/* What TCP_INFO has told of a connection. */
void mend_window(int fd, void *told, socklen_t size);

#endif
