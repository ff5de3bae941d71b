// SPDX-License-Identifier: Apache-2.0
/* The container's root and what is mounted below it. */
#define _GNU_SOURCE
#include "mounts.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "boot.h"
#include "devices.h"
#include "place.h"

#define NEW_ROOT	"/newroot"
#define LAYERS		"lowerdir=/lower,upperdir=/layer/upper,workdir=/layer/work"

struct layers mounts_layers = { -1, -1 };

struct reason {
	char *text;
	size_t size;
};

static int fail(struct reason *reason, int error, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

static int fail(struct reason *reason, int error, const char *format, ...)
{
	va_list args;
	size_t used;

	va_start(args, format);
	vsnprintf(reason->text, reason->size, format, args);
	va_end(args);
	used = strlen(reason->text);
	snprintf(reason->text + used, reason->size - used, ": %s", strerror(error));
	return error;
}

static int mount_as_told(const struct boot_mount *wanted, const char *target, int place,
			 unsigned long flags, struct reason *reason)
{
	const struct mount_text *text = &wanted->text;
	const char *source = *text->source ? text->source : "none";
	int failed;

	if (wanted->flags & DRUPE_MOUNT_READONLY)
		flags |= MS_RDONLY;
	if (place >= 0)
		failed = place_mount(place, source, text->type, flags, text->options);
	else
		failed = mount(source, target, text->type, flags, text->options);
	if (failed)
		return fail(reason, errno, "failed to mount '%.100s' (%.32s, '%.100s') on '%.100s'",
			    source, text->type, text->options, text->target);
	return 0;
}

static int mount_overlay(const struct boot_mount *wanted, struct reason *reason)
{
	int error;

	mkdir("/lower", 0755);
	mkdir("/layer", 0755);
	error = mount_as_told(wanted, "/lower", -1, MS_RDONLY, reason);
	if (error)
		return error;
	if (mount("layer", "/layer", "tmpfs", 0, "mode=755") < 0 ||
	    mkdir("/layer/upper", 0755) < 0 || mkdir("/layer/work", 0755) < 0)
		return fail(reason, errno, "failed to make the writable layer");
	/* The layer ends with the container: nothing is gained by syncing it. */
	mounts_layers.lower = open("/lower", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	mounts_layers.upper = open("/layer/upper", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (mount("overlay", NEW_ROOT, "overlay", 0, LAYERS ",volatile") == 0 ||
	    mount("overlay", NEW_ROOT, "overlay", 0, LAYERS) == 0)
		return 0;
	return fail(reason, errno, "failed to mount the overlay");
}

static int mount_kernel_fs(int root, const char *path, const char *type, struct reason *reason)
{
	int place = place_open(root, path);
	int error = 0;

	if (place < 0)
		return fail(reason, errno, "failed to make '/%s' in the root", path);
	if (place_mount(place, type, type, MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0)
		error = fail(reason, errno, "failed to mount %s", type);
	close(place);
	return error;
}

static int mount_system(int root, uint64_t shm_bytes, int *pts, struct reason *reason)
{
	struct reason ignored;
	char text[128];
	int error;

	ignored.text = text;
	ignored.size = sizeof(text);
	error = mount_kernel_fs(root, "proc", "proc", reason);
	if (!error)
		error = mount_kernel_fs(root, "sys", "sysfs", reason);
	if (error)
		return error;
	/* A fitted kernel may lack control groups. */
	if (access("/proc/cgroups", F_OK) == 0)
		mount_kernel_fs(root, "sys/fs/cgroup", "cgroup2", &ignored);
	error = devices_make(root, shm_bytes, pts);
	if (error)
		return fail(reason, error, "failed to make '/dev' in the root");
	return 0;
}

static int mount_below(int root, const struct boot_mount *wanted, struct reason *reason)
{
	int place = place_open(root, wanted->text.target);
	int error;

	if (place < 0)
		return fail(reason, errno, "failed to make mount target '%.200s'",
			    wanted->text.target);
	error = mount_as_told(wanted, NULL, place, 0, reason);
	close(place);
	return error;
}

int mounts_make(const struct boot *boot, int *pts, char *text, size_t size)
{
	struct reason reason = { text, size };
	int error;
	int root;

	if (!boot->count)
		return fail(&reason, EINVAL, "no root was given");
	mkdir(NEW_ROOT, 0755);
	if (boot->mounts[0].flags & DRUPE_MOUNT_OVERLAY)
		error = mount_overlay(&boot->mounts[0], &reason);
	else
		error = mount_as_told(&boot->mounts[0], NEW_ROOT, -1, 0, &reason);
	if (error)
		return error;
	root = open(NEW_ROOT, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root < 0)
		return fail(&reason, errno, "failed to open the root");
	error = mount_system(root, boot->shm_bytes, pts, &reason);
	for (uint32_t i = 1; i < boot->count && !error; i++)
		error = mount_below(root, &boot->mounts[i], &reason);
	if (!error && (fchdir(root) < 0 || mount(".", "/", NULL, MS_MOVE, NULL) < 0 ||
		       chroot(".") < 0 || chdir("/") < 0))
		error = fail(&reason, errno, "failed to enter the root");
	close(root);
	return error;
}
