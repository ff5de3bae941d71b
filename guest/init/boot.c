// SPDX-License-Identifier: Apache-2.0
/* What the container shall be, gathered frame by frame before BOOT. */
#include "boot.h"

#include <stdlib.h>
#include <string.h>

static const char *add_mount(struct boot *boot, const uint8_t *payload, size_t size)
{
	struct boot_mount *mount = &boot->mounts[boot->count];
	const char *why;
	bool root;

	if (boot->count == DRUPE_MOUNTS_MAX)
		return "too many mounts";
	mount->payload = malloc(size);
	if (!mount->payload)
		return "out of memory";
	memcpy(mount->payload, payload, size);
	why = mount_parse(mount->payload, size, &mount->flags, &mount->text);
	root = !why && !strcmp(mount->text.target, "/");
	if (!why && !boot->count && !root)
		why = "the first mount is not the root";
	if (!why && boot->count && root)
		why = "a second root";
	if (!why && boot->count && (mount->flags & DRUPE_MOUNT_OVERLAY))
		why = "an overlay on a mount other than the root";
	if (why) {
		free(mount->payload);
		mount->payload = NULL;
		return why;
	}
	boot->count++;
	return NULL;
}

const char *boot_add(struct boot *boot, uint16_t type, const uint8_t *payload, size_t size)
{
	if (type == DRUPE_MOUNT)
		return add_mount(boot, payload, size);
	if (boot->hostname[0])
		return "a frame that may come once came twice";
	memcpy(boot->hostname, payload, size);
	boot->hostname[size] = 0;
	return NULL;
}

void boot_clear(struct boot *boot)
{
	for (uint32_t i = 0; i < boot->count; i++)
		free(boot->mounts[i].payload);
	memset(boot, 0, sizeof(*boot));
}
