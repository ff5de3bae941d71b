// SPDX-License-Identifier: Apache-2.0
/*
 * A container asks a resolver by an address that stands for it. passt passes
 * datagrams to that on to the real one; versions of March 2023 let connections
 * go where nobody is, which answers that are too long for a datagram need.
 */
#define _GNU_SOURCE
#include "resolver.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define DNS_PORT 53

/* One of each family */
static struct {
	struct in_addr stand, real;
	bool there;
} four;

static struct {
	struct in6_addr stand, real;
	bool there;
} six;

bool resolver_add(const char *line)
{
	char stand[64], real[64];

	if (sscanf(line, "stand %63s %63s", stand, real) != 2)
		return false;
	if (inet_pton(AF_INET, stand, &four.stand) == 1)
		return four.there = inet_pton(AF_INET, real, &four.real) == 1;
	return six.there = inet_pton(AF_INET6, stand, &six.stand) == 1 &&
			   inet_pton(AF_INET6, real, &six.real) == 1;
}

const struct sockaddr *resolver_of(const struct sockaddr *name, struct sockaddr_storage *room)
{
	struct sockaddr_in *in = (struct sockaddr_in *)room;
	struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)room;

	if (name && name->sa_family == AF_INET && four.there) {
		memcpy(in, name, sizeof(*in));
		if (in->sin_port == htons(DNS_PORT) && in->sin_addr.s_addr == four.stand.s_addr) {
			in->sin_addr = four.real;
			return (const struct sockaddr *)room;
		}
	} else if (name && name->sa_family == AF_INET6 && six.there) {
		memcpy(in6, name, sizeof(*in6));
		if (in6->sin6_port == htons(DNS_PORT) &&
		    !memcmp(&in6->sin6_addr, &six.stand, sizeof(six.stand))) {
			in6->sin6_addr = six.real;
			return (const struct sockaddr *)room;
		}
	}
	return name;
}
