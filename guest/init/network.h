/* SPDX-License-Identifier: Apache-2.0 */
/* The container's interfaces, addresses and routes. */
#ifndef INIT_NETWORK_H
#define INIT_NETWORK_H

#include <stddef.h>

struct boot_network;

/*
 * Any user may have any port, and send pings, as in containers elsewhere; settings that the container
 * asks for come later, and count more.
 */
void network_open_to_all(void);

/* Makes all that is wanted, and the loopback. 0, or an errno with the reason in @text. */
int network_make(const struct boot_network *network, char *text, size_t size);

#endif
