/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef __HOSTCHAN_H
#define __HOSTCHAN_H

#define HOSTCHAN_EVENT_IN	1
#define HOSTCHAN_EVENT_OUT	2

struct hostchan_event {
	void *channel;
	unsigned int events;
};

int hostchan_accept4(int fd);
int hostchan_window_size(int fd, unsigned short *rows, unsigned short *columns);
int hostchan_epoll_create(void);
int hostchan_epoll_add(int epoll_fd, int fd, void *channel);
void hostchan_epoll_del(int epoll_fd, int fd);
int hostchan_epoll_wait(int epoll_fd, struct hostchan_event *events, int count);

#endif /* __HOSTCHAN_H */
