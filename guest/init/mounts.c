// SPDX-License-Identifier: Apache-2.0
/* The container's root and what is mounted below it. */
#define _GNU_SOURCE
#include "mounts.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "boot.h"
#include "devices.h"
#include "etc.h"
#include "group.h"
#include "place.h"
#include "reason.h"
#include "seed.h"
#include "upper.h"

#define NEW_ROOT	"/newroot"
#define FILES		"/files"
/* What a mount keeps that is made read-only. */
#define KEPT		(MS_NOSUID | MS_NODEV | MS_NOEXEC)
#define SHARED_FILE	"file"	/* what the jail calls a file that is shared alone */

struct layers mounts_layers = { -1, -1 };

static int mount_as_told(const struct boot_mount *wanted, const char *target, int place,
			 unsigned long flags, struct reason *reason)
{
	const struct mount_text *text = &wanted->text;
	const char *source = *text->source ? text->source : "none";
	int failed;

	if (wanted->flags & DRUPE_MOUNT_READONLY)
		flags |= MS_RDONLY;
	if (wanted->flags & DRUPE_MOUNT_GUARDED)
		flags |= MS_NOSUID | MS_NODEV;
	if (wanted->flags & DRUPE_MOUNT_NOEXEC)
		flags |= MS_NOEXEC;
	if (place >= 0)
		failed = place_mount(place, source, text->type, flags, text->options);
	else
		failed = mount(source, target, text->type, flags, text->options);
	if (failed)
		return reason_give(reason, errno, "failed to mount '%.100s' (%.32s, '%.100s') on '%.100s'",
			    source, text->type, text->options, text->target);
	return 0;
}

/* The first mount of a container, and the second where that is the layer above it. */
static int mount_root(const struct boot *boot, struct reason *reason)
{
	const struct boot_mount *root = &boot->mounts[0];
	const struct boot_mount *disk = NULL;
	int error;

	if (!(root->flags & DRUPE_MOUNT_OVERLAY))
		return mount_as_told(root, NEW_ROOT, -1, 0, reason);
	if (boot->count > 1 && (boot->mounts[1].flags & DRUPE_MOUNT_LAYER))
		disk = &boot->mounts[1];
	mkdir("/lower", 0755);
	error = mount_as_told(root, "/lower", -1, MS_RDONLY, reason);
	if (!error)
		error = upper_make(disk, NEW_ROOT, reason);
	if (error)
		return error;
	mounts_layers.lower = open("/lower", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	mounts_layers.upper = open("/layer/upper", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return 0;
}

static int mount_kernel_fs(int root, const char *path, const char *type, struct reason *reason)
{
	int place = place_open(root, path);
	int error = 0;

	if (place < 0)
		return reason_give(reason, errno, "failed to make '/%s' in the root", path);
	if (place_mount(place, type, type, MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0)
		error = reason_give(reason, errno, "failed to mount %s", type);
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
	if (access("/proc/cgroups", F_OK) == 0 &&
	    mount_kernel_fs(root, "sys/fs/cgroup", "cgroup2", &ignored) == 0)
		group_take(place_open(root, "sys/fs/cgroup"));
	error = devices_make(root, shm_bytes, pts);
	if (error)
		return reason_give(reason, error, "failed to make '/dev' in the root");
	return 0;
}

/* Mounted out of sight; of that, the one file is bound to where it is wanted. */
static int mount_file(const struct boot_mount *wanted, int place, struct reason *reason)
{
	char path[64], file[96];
	static int count;
	int error;

	snprintf(path, sizeof(path), FILES "/%d", count++);
	snprintf(file, sizeof(file), "%s/" SHARED_FILE, path);
	mkdir(FILES, 0700);
	mkdir(path, 0700);
	error = mount_as_told(wanted, path, -1, 0, reason);
	if (!error && place_mount(place, file, NULL, MS_BIND, NULL) < 0)
		error = reason_give(reason, errno, "failed to mount a file on '%.200s'",
				    wanted->text.target);
	return error;
}

/* What @place has, goes into what is mounted on it now, if that is empty */
static int seed(int root, const struct boot_mount *wanted, int place, struct reason *reason)
{
	int error = 0, now = place_open(root, wanted->text.target);
	int to = now < 0 ? -1 : openat(now, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (to >= 0 && seed_wanted(to))
		error = seed_copy(place, to);
	if (error)
		reason_give(reason, error, "failed to copy what is in '%.200s'",
			    wanted->text.target);
	if (to >= 0)
		close(to);
	if (now >= 0)
		close(now);
	return error;
}

/* What is there cannot be seen: an empty directory over it, or /dev/null. */
static int mask(int place, const char *target, struct reason *reason)
{
	struct stat status;
	int failed;

	if (fstat(place, &status) == 0 && S_ISDIR(status.st_mode))
		failed = place_mount(place, "tmpfs", "tmpfs", MS_RDONLY, "size=0k,mode=755");
	else
		failed = place_mount(place, "/dev/null", NULL, MS_BIND, NULL);
	return failed ? reason_give(reason, errno, "failed to mask '%.200s'", target) : 0;
}

/* It cannot be written, itself and what was mounted there before. */
static int freeze(int root, int place, const char *target, struct reason *reason)
{
	const unsigned long flags = MS_REMOUNT | MS_BIND | MS_RDONLY;
	char path[32];
	int now, failed;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", place);
	failed = place_mount(place, path, NULL, MS_BIND | MS_REC, NULL);
	now = failed ? -1 : place_find(root, target);
	if (now >= 0) {
		struct statvfs held;

		failed = fstatvfs(now, &held);
		if (!failed)
			failed = place_mount(now, NULL, NULL, flags | (held.f_flag & KEPT), NULL);
		close(now);
	}
	return failed || now < 0
		? reason_give(reason, errno, "failed to make '%.200s' read-only", target) : 0;
}

static int cover(int root, const struct boot_mount *wanted, struct reason *reason)
{
	const char *target = wanted->text.target;
	int place = place_find(root, target);
	int error;

	if (place < 0)
		return errno == ENOENT || errno == ENOTDIR
			? 0 : reason_give(reason, errno, "failed to find '%.200s'", target);
	if (wanted->flags & DRUPE_MOUNT_MASKED)
		error = mask(place, target, reason);
	else
		error = freeze(root, place, target, reason);
	close(place);
	return error;
}

static int mount_below(int root, const struct boot_mount *wanted, struct reason *reason)
{
	bool file = wanted->flags & DRUPE_MOUNT_FILE;
	int place, error;

	if (wanted->flags & (DRUPE_MOUNT_MASKED | DRUPE_MOUNT_FROZEN))
		return cover(root, wanted, reason);
	place = file ? place_file(root, wanted->text.target)
		     : place_open(root, wanted->text.target);
	if (place < 0)
		return reason_give(reason, errno, "failed to make mount target '%.200s'",
			    wanted->text.target);
	if (file)
		error = mount_file(wanted, place, reason);
	else
		error = mount_as_told(wanted, NULL, place, 0, reason);
	if (!error && (wanted->flags & DRUPE_MOUNT_SEED))
		error = seed(root, wanted, place, reason);
	close(place);
	return error;
}

int mounts_make(const struct boot *boot, int *pts, char *text, size_t size)
{
	struct reason reason = { text, size };
	int error;
	int root;

	if (!boot->count)
		return reason_give(&reason, EINVAL, "no root was given");
	mkdir(NEW_ROOT, 0755);
	error = mount_root(boot, &reason);
	if (error)
		return error;
	root = open(NEW_ROOT, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root < 0)
		return reason_give(&reason, errno, "failed to open the root");
	error = mount_system(root, boot->shm_bytes, pts, &reason);
	for (uint32_t i = 1; i < boot->count && !error; i++)
		if (!(boot->mounts[i].flags & DRUPE_MOUNT_LAYER))
			error = mount_below(root, &boot->mounts[i], &reason);
	if (!error)
		error = etc_make(root, boot, text, size);
	if (!error && (fchdir(root) < 0 || mount(".", "/", NULL, MS_MOVE, NULL) < 0 ||
		       chroot(".") < 0 || chdir("/") < 0))
		error = reason_give(&reason, errno, "failed to enter the root");
	/* Only now: mount targets may have been made. */
	if (!error && (boot->mounts[0].flags & DRUPE_MOUNT_READONLY) &&
	    mount(NULL, "/", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL) < 0)
		error = reason_give(&reason, errno, "failed to make the root read-only");
	close(root);
	return error;
}
