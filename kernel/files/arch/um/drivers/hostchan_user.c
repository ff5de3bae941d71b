// SPDX-License-Identifier: GPL-2.0-only
/*
 * The host's side of /dev/hostchan: one epoll instance that watches all
 * channels, so that they share one interrupt however many they are.
 */

#define _GNU_SOURCE
#include <errno.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include "hostchan.h"

#define BATCH 16

int hostchan_epoll_create(void)
{
	int fd = epoll_create1(EPOLL_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

int hostchan_epoll_add(int epoll_fd, int fd, void *channel)
{
	struct epoll_event event = {
		.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET,
		.data.ptr = channel,
	};

	return epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &event) < 0 ? -errno : 0;
}

int hostchan_accept4(int fd)
{
	int new = accept4(fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	return new < 0 ? -errno : new;
}

int hostchan_window_size(int fd, unsigned short *rows, unsigned short *columns)
{
	struct winsize size;

	if (ioctl(fd, TIOCGWINSZ, &size) < 0)
		return -errno;
	*rows = size.ws_row;
	*columns = size.ws_col;
	return 0;
}

void hostchan_epoll_del(int epoll_fd, int fd)
{
	epoll_ctl(epoll_fd, EPOLL_CTL_DEL, fd, NULL);
}

int hostchan_epoll_wait(int epoll_fd, struct hostchan_event *events, int count)
{
	struct epoll_event host[BATCH];
	int i, n;

	n = epoll_wait(epoll_fd, host, count < BATCH ? count : BATCH, 0);
	if (n < 0)
		return -errno;

	for (i = 0; i < n; i++) {
		events[i].channel = host[i].data.ptr;
		events[i].events = 0;
		if (host[i].events & ~EPOLLOUT)
			events[i].events |= HOSTCHAN_EVENT_IN;
		if (host[i].events & (EPOLLOUT | EPOLLHUP | EPOLLERR))
			events[i].events |= HOSTCHAN_EVENT_OUT;
	}
	return n;
}
