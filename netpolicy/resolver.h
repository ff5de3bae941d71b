/* SPDX-License-Identifier: Apache-2.0 */
/* Where the resolvers are that a container knows by other addresses. */
#ifndef NETPOLICY_RESOLVER_H
#define NETPOLICY_RESOLVER_H

#include <stdbool.h>
#include <sys/socket.h>

/* Takes a line of the policy, "stand ADDRESS REAL"; whether it is one. */
bool resolver_add(const char *line);
/* The peer that @name means: itself, or a resolver's real address, which is put into @room. */
const struct sockaddr *resolver_of(const struct sockaddr *name, struct sockaddr_storage *room);

#endif
