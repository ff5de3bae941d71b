// SPDX-License-Identifier: Apache-2.0
/*
 * What older versions of passt get wrong, mended on its way out of the process.
 * Debian 12 has one of March 2023; with those that do better, nothing here
 * changes anything.
 *
 * - The reset that answers a connection which was refused does not acknowledge
 *   it, so that the guest waits for an answer until it gives up.
 * - Data that a socket does not take is thrown away, and the guest finds out by a
 *   timer. A socket that is full for a moment is waited for instead.
 * - The guest may send as much as the peer would take at some moment, whether the
 *   socket before it has room for that or not, and does not hear when it is more
 *   again: where that is less than a segment, it waits for a timer. It may send what
 *   there is room for instead, ahead of a peer that is slow.
 */
#define _GNU_SOURCE
#include "mend.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sock_diag.h>
#include <linux/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <unistd.h>

#define LENGTH		4	/* bytes before each frame */
#define ETHERNET	14
#define IPV4		20
#define IPV6		40
#define TCP_HEADER	20
#define FLAGS		13	/* their offset in the TCP header; the checksum's */
#define CHECKSUM	16
#define RST		0x04
#define ACK		0x10

#define PATIENCE_US	20000
#define WINDOW_AHEAD	(1U << 20)
#define WINDOW_LEAST	(64U << 10)	/* a segment, whose room is waited for */

/* Sets ACK beside RST, and takes it into account in the checksum */
static void acknowledge(uint8_t *tcp)
{
	uint32_t sum = (uint8_t)~tcp[CHECKSUM] << 8 | (uint8_t)~tcp[CHECKSUM + 1];

	tcp[FLAGS] |= ACK;
	sum += ACK;
	sum = (sum & 0xffff) + (sum >> 16);
	sum = ~sum;
	tcp[CHECKSUM] = (uint8_t)(sum >> 8);
	tcp[CHECKSUM + 1] = (uint8_t)sum;
}

static void mend_frame(uint8_t *frame, size_t size)
{
	uint8_t *ip = frame + LENGTH + ETHERNET;
	uint8_t *tcp;

	if (size == LENGTH + ETHERNET + IPV4 + TCP_HEADER && ip[0] == 0x45 && ip[9] == IPPROTO_TCP)
		tcp = ip + IPV4;
	else if (size == LENGTH + ETHERNET + IPV6 + TCP_HEADER && ip[0] >> 4 == 6 && ip[6] == IPPROTO_TCP)
		tcp = ip + IPV6;
	else
		return;
	if (tcp[FLAGS] == RST)
		acknowledge(tcp);
}

void mend_frames(const struct msghdr *message)
{
	size_t i;

	for (i = 0; i < message->msg_iovlen; i++)
		mend_frame(message->msg_iov[i].iov_base, message->msg_iov[i].iov_len);
}

static bool is_tcp(int fd)
{
	int protocol = 0;
	socklen_t size = sizeof(protocol);

	return !getsockopt(fd, SOL_SOCKET, SO_PROTOCOL, &protocol, &size) &&
	       protocol == IPPROTO_TCP;
}

/* Sends what is left of a message, as soon as there is room, but not for long */
static ssize_t send_rest(int fd, const struct msghdr *message, size_t done)
{
	const struct timeval patience = { .tv_usec = PATIENCE_US };
	int flags = fcntl(fd, F_GETFL);
	ssize_t sent = 0;
	size_t i;

	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	fcntl(fd, F_SETFL, flags & ~O_NONBLOCK);
	for (i = 0; i < message->msg_iovlen; i++) {
		const struct iovec *part = &message->msg_iov[i];
		ssize_t n;

		if (done >= part->iov_len) {
			done -= part->iov_len;
			continue;
		}
		n = syscall(SYS_sendto, fd, (char *)part->iov_base + done, part->iov_len - done,
			    MSG_NOSIGNAL, NULL, 0);
		if (n > 0)
			sent += n;
		if (n != (ssize_t)(part->iov_len - done))
			break;
		done = 0;
	}
	fcntl(fd, F_SETFL, flags);
	return sent;
}

ssize_t mend_send(int fd, const struct msghdr *message, int flags, size_t size)
{
	ssize_t n = syscall(SYS_sendmsg, fd, message, flags);
	int error = errno;

	if ((n < 0 && error != EAGAIN) || n == (ssize_t)size || !(flags & MSG_DONTWAIT) ||
	    !is_tcp(fd))
		return n;
	n = (n < 0 ? 0 : n) + send_rest(fd, message, n < 0 ? 0 : (size_t)n);
	errno = EAGAIN;
	return n ? n : -1;
}

void mend_window(int fd, void *told, socklen_t size)
{
	struct tcp_info *info = told;
	uint32_t memory[SK_MEMINFO_VARS], room;
	socklen_t memory_size = sizeof(memory);

	if (size < offsetof(struct tcp_info, tcpi_snd_wnd) + sizeof(info->tcpi_snd_wnd) ||
	    syscall(SYS_getsockopt, fd, SOL_SOCKET, SO_MEMINFO, memory, &memory_size))
		return;
	room = memory[SK_MEMINFO_SNDBUF] - memory[SK_MEMINFO_WMEM_QUEUED];
	if (memory[SK_MEMINFO_SNDBUF] < memory[SK_MEMINFO_WMEM_QUEUED])
		room = 0;
	room -= room / 8;	/* a socket counts more than the data */
	if (room < WINDOW_LEAST)
		room = info->tcpi_snd_wnd ? WINDOW_LEAST : 0;
	if (info->tcpi_snd_wnd < WINDOW_AHEAD)
		info->tcpi_snd_wnd = WINDOW_AHEAD;
	if (info->tcpi_snd_wnd > room)
		info->tcpi_snd_wnd = room;
}
