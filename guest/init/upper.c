// SPDX-License-Identifier: Apache-2.0
/* The writable layer above the root: what the container has changed. */
#define _GNU_SOURCE
#include "upper.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "boot.h"
#include "reason.h"

/* From linux/fs.h, which musl does not bring. */
#ifndef FIFREEZE
#define FIFREEZE	_IOWR('X', 119, int)
#endif

#define PARTS		"lowerdir=/lower,upperdir=/layer/upper,workdir=/layer/work"

static int layer = -1;
static bool on_disk;

static int make_directory(const char *path)
{
	return mkdir(path, 0755) < 0 && errno != EEXIST ? -1 : 0;
}

static int mount_disk(const struct boot_mount *disk, struct reason *reason)
{
	const struct mount_text *text = &disk->text;

	if (mount(text->source, "/layer", text->type, 0, text->options) < 0)
		return reason_give(reason, errno,
				   "failed to mount the writable layer '%.100s' (%.32s, '%.200s')",
				   text->source, text->type, text->options);
	on_disk = true;
	return 0;
}

int upper_make(const struct boot_mount *disk, const char *root, struct reason *reason)
{
	int error;

	make_directory("/layer");
	if (disk) {
		error = mount_disk(disk, reason);
		if (error)
			return error;
	} else if (mount("layer", "/layer", "tmpfs", 0, "mode=755") < 0) {
		return reason_give(reason, errno, "failed to make the writable layer");
	}
	/* On a disk they are there already after the first time. */
	if (make_directory("/layer/upper") < 0 || make_directory("/layer/work") < 0)
		return reason_give(reason, errno, "failed to use the writable layer");
	layer = open("/layer", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	/* One in memory ends with the container: nothing is gained by syncing it. */
	if (!disk && mount("overlay", root, "overlay", 0, PARTS ",volatile") == 0)
		return 0;
	if (mount("overlay", root, "overlay", 0, PARTS) == 0)
		return 0;
	return reason_give(reason, errno, "failed to mount the overlay");
}

bool upper_settle(void)
{
	/* Writes all, empties the journal, and lets nobody write any more. */
	return on_disk && ioctl(layer, FIFREEZE, 0) == 0;
}
