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

#define BOOT_SYSCTLS_MAX	256

struct boot_sysctl {
	const char *path;		/* below /proc/sys */
	const char *value;
	uint8_t *payload;		/* what both point into */
};

struct boot_file {
	struct file_text text;
	uint8_t *payload;		/* what @text points into */
};

struct boot_interface {
	struct drupe_interface frame;
	char name[DRUPE_INTERFACE_NAME_MAX + 1];
};

struct boot_network {
	uint32_t interface_count;
	uint32_t address_count;
	uint32_t route_count;
	struct boot_interface interfaces[DRUPE_INTERFACES_MAX];
	struct drupe_address addresses[DRUPE_ADDRESSES_MAX];
	struct drupe_route routes[DRUPE_ROUTES_MAX];
};

struct boot {
	char hostname[DRUPE_HOSTNAME_MAX + 1];	/* empty: leave it */
	char domainname[DRUPE_HOSTNAME_MAX + 1];
	uint32_t count;
	struct boot_mount mounts[DRUPE_MOUNTS_MAX];
	uint32_t file_count;
	struct boot_file files[DRUPE_FILES_MAX];
	struct boot_network network;
	uint32_t sysctl_count;
	struct boot_sysctl sysctls[BOOT_SYSCTLS_MAX];
	uint64_t pids;			/* 0: no limit */
	uint64_t shm_bytes;		/* 0: the file system's default */
};

/* Takes any frame of a container but BOOT. NULL, or the rule that it breaks. */
const char *boot_add(struct boot *boot, uint16_t type, const uint8_t *payload, size_t size);
/* The same for INTERFACE, ADDRESS and ROUTE. */
const char *boot_network_add(struct boot_network *network, uint16_t type,
			     const uint8_t *payload, size_t size);
void boot_clear(struct boot *boot);

#endif
