// SPDX-License-Identifier: Apache-2.0
/*
 * passt of March 2023 takes each port once: with one address, or with none for
 * all addresses of both families. Where it is to be one of each family, it is
 * told of none, and what it binds gets its address here: that needs a socket of
 * each family, so one for both is refused, and passt makes two.
 */
#define _GNU_SOURCE
#include "publish.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PORTS_MAX 1024

static struct published {
	int type;
	in_port_t port;
	struct in_addr four;
	struct in6_addr six;
} ports[PORTS_MAX];

static unsigned int count;

bool publish_add(const char *line)
{
	struct published *port = &ports[count];
	char protocol[4], four[64], six[64];
	unsigned int number;

	if (count == PORTS_MAX || sscanf(line, "publish %3s %5u %63s %63s", protocol, &number, four,
					 six) != 4)
		return false;
	port->type = strcmp(protocol, "tcp") ? SOCK_DGRAM : SOCK_STREAM;
	port->port = htons((uint16_t)number);
	if (inet_pton(AF_INET, four, &port->four) != 1 || inet_pton(AF_INET6, six, &port->six) != 1)
		return false;
	count++;
	return true;
}

static const struct published *find(int fd, in_port_t port)
{
	socklen_t size = sizeof(int);
	int type = 0;

	if (!count || getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) < 0)
		return NULL;
	for (unsigned int i = 0; i < count; i++)
		if (ports[i].type == type && ports[i].port == port)
			return &ports[i];
	return NULL;
}

static int bind_six(int fd, const struct sockaddr_in6 *name, socklen_t name_size)
{
	const struct published *port = find(fd, name->sin6_port);
	struct sockaddr_in6 own = *name;
	socklen_t size = sizeof(int);
	int alone = 0;

	if (port && IN6_IS_ADDR_UNSPECIFIED(&own.sin6_addr)) {
		if (getsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &alone, &size) < 0 || !alone) {
			errno = EADDRNOTAVAIL;
			return -1;
		}
		own.sin6_addr = port->six;
	}
	return (int)syscall(SYS_bind, fd, &own, name_size);
}

static int bind_four(int fd, const struct sockaddr_in *name, socklen_t name_size)
{
	const struct published *port = find(fd, name->sin_port);
	struct sockaddr_in own = *name;

	if (port && own.sin_addr.s_addr == htonl(INADDR_ANY))
		own.sin_addr = port->four;
	return (int)syscall(SYS_bind, fd, &own, name_size);
}

__attribute__((visibility("default"))) int bind(int fd, const struct sockaddr *name, socklen_t size)
{
	if (name && name->sa_family == AF_INET6 && size >= sizeof(struct sockaddr_in6))
		return bind_six(fd, (const struct sockaddr_in6 *)name, size);
	if (name && name->sa_family == AF_INET && size >= sizeof(struct sockaddr_in))
		return bind_four(fd, (const struct sockaddr_in *)name, size);
	return (int)syscall(SYS_bind, fd, name, size);
}
