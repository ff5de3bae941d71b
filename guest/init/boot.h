/* SPDX-License-Identifier: Apache-2.0 */
/* What the container shall be, gathered frame by frame before BOOT. */
#ifndef INIT_BOOT_H
#define INIT_BOOT_H

#include "frame.h"

struct boot_mount {
	uint32_t flags;
	struct mount_text text;
	uint8_t *payload;		/* what @text points into */
};

struct boot {
	char hostname[DRUPE_HOSTNAME_MAX + 1];	/* empty: leave it */
	uint32_t count;
	struct boot_mount mounts[DRUPE_MOUNTS_MAX];
};

/* Takes HOSTNAME or MOUNT. NULL, or the rule that it breaks. */
const char *boot_add(struct boot *boot, uint16_t type, const uint8_t *payload, size_t size);
void boot_clear(struct boot *boot);

#endif
