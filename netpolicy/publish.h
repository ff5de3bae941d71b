/* SPDX-License-Identifier: Apache-2.0 */
/* Ports that are published on an address of each family. */
#ifndef NETPOLICY_PUBLISH_H
#define NETPOLICY_PUBLISH_H

#include <stdbool.h>

/* Takes a line of the policy, "publish tcp|udp PORT IPV4 IPV6"; whether it is one. */
bool publish_add(const char *line);

#endif
