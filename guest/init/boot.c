// SPDX-License-Identifier: Apache-2.0
/* What the container shall be, gathered frame by frame before BOOT. */
#include "boot.h"

#include <stdlib.h>
#include <string.h>

static const char *add_mount(struct boot *boot, const uint8_t *payload, size_t size)
{
	struct boot_mount *mount = &boot->mounts[boot->count];
	const char *why;
	bool layer;
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
	layer = !why && (mount->flags & DRUPE_MOUNT_LAYER);
	if (layer && (boot->count != 1 || !root ||
		      !(boot->mounts[0].flags & DRUPE_MOUNT_OVERLAY)))
		why = "a layer that does not follow its root";
	if (!why && boot->count && root && !layer)
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

static const char *add_file(struct boot *boot, const uint8_t *payload, size_t size)
{
	struct boot_file *file = &boot->files[boot->file_count];
	const char *why;

	if (boot->file_count == DRUPE_FILES_MAX)
		return "too many files";
	file->payload = malloc(size);
	if (!file->payload)
		return "out of memory";
	memcpy(file->payload, payload, size);
	why = file_parse(file->payload, size, &file->text);
	for (uint32_t i = 0; i < boot->file_count && !why; i++)
		if (!strcmp(boot->files[i].text.path, file->text.path))
			why = "two files at one path";
	if (why) {
		free(file->payload);
		file->payload = NULL;
		return why;
	}
	boot->file_count++;
	return NULL;
}

static const char *add_sysctl(struct boot *boot, const uint8_t *payload, size_t size)
{
	struct boot_sysctl *entry = &boot->sysctls[boot->sysctl_count];
	const uint8_t *nul = memchr(payload, 0, size);

	if (boot->sysctl_count == BOOT_SYSCTLS_MAX)
		return "too many frames of one type";
	if (!nul || nul == payload || !text_ok(nul + 1, size - (size_t)(nul + 1 - payload)))
		return "a kernel setting is a path, a NUL and a value";
	entry->payload = malloc(size + 1);
	if (!entry->payload)
		return "out of memory";
	memcpy(entry->payload, payload, size);
	entry->payload[size] = 0;
	entry->path = (const char *)entry->payload;
	entry->value = entry->path + (nul + 1 - payload);
	boot->sysctl_count++;
	return NULL;
}

static const char *add_limit(struct boot *boot, const uint8_t *payload)
{
	struct drupe_limit limit;

	memcpy(&limit, payload, sizeof(limit));
	if (limit.zero)
		return "unknown limit";
	switch (limit.kind) {
	case DRUPE_LIMIT_PIDS:
		boot->pids = limit.value;
		return NULL;
	case DRUPE_LIMIT_SHM:
		boot->shm_bytes = limit.value;
		return NULL;
	default:
		return "unknown limit";
	}
}

static const char *add_name(char *name, const uint8_t *payload, size_t size)
{
	if (*name)
		return "a frame that may come once came twice";
	memcpy(name, payload, size);
	name[size] = 0;
	return NULL;
}

const char *boot_add(struct boot *boot, uint16_t type, const uint8_t *payload, size_t size)
{
	switch (type) {
	case DRUPE_MOUNT:
		return add_mount(boot, payload, size);
	case DRUPE_FILE:
		return add_file(boot, payload, size);
	case DRUPE_INTERFACE:
	case DRUPE_ADDRESS:
	case DRUPE_ROUTE:
		return boot_network_add(&boot->network, type, payload, size);
	case DRUPE_SYSCTL:
		return add_sysctl(boot, payload, size);
	case DRUPE_LIMIT:
		return add_limit(boot, payload);
	case DRUPE_DOMAINNAME:
		return add_name(boot->domainname, payload, size);
	default:
		return add_name(boot->hostname, payload, size);
	}
}

void boot_clear(struct boot *boot)
{
	for (uint32_t i = 0; i < boot->count; i++)
		free(boot->mounts[i].payload);
	for (uint32_t i = 0; i < boot->sysctl_count; i++)
		free(boot->sysctls[i].payload);
	for (uint32_t i = 0; i < boot->file_count; i++)
		free(boot->files[i].payload);
	memset(boot, 0, sizeof(*boot));
}
