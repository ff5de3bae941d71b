/* SPDX-License-Identifier: Apache-2.0 */
/* The container's interfaces, addresses and routes. */
#ifndef INIT_NETWORK_H
#define INIT_NETWORK_H

#include <stddef.h>

struct boot_network;

/* Makes all that is wanted, and the loopback. 0, or an errno with the reason in @text. */
int network_make(const struct boot_network *network, char *text, size_t size);

#endif
