// SPDX-License-Identifier: Apache-2.0
/*
 * Small files that appear in the container. They lie in a tmpfs of the init's,
 * and each is mounted over its path; so nothing is written to the root, and
 * the init can change them, whatever the container does to its tree.
 */
#define _GNU_SOURCE
#include "etc.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "boot.h"
#include "place.h"

#define DIRECTORY	"/files"

static struct {
	char *path;
	int fd;
} files[DRUPE_FILES_MAX];

static uint32_t count;

static int fill(int fd, const struct file_text *text)
{
	size_t done = 0;

	while (done < text->size) {
		ssize_t n = pwrite(fd, text->content + done, text->size - done, (off_t)done);

		if (n < 0)
			return errno;
		done += (size_t)n;
	}
	if (ftruncate(fd, (off_t)text->size) < 0 || fchmod(fd, text->mode) < 0)
		return errno;
	return 0;
}

/* 0 too where it is left out */
static int make(int root, const struct file_text *text)
{
	char name[32];
	int place, error;
	int fd = -1;

	place = place_file(root, text->path);
	if (place < 0)
		return errno == EROFS ? 0 : errno;
	snprintf(name, sizeof(name), DIRECTORY "/%u", count);
	files[count].path = strdup(text->path);
	error = files[count].path ? 0 : ENOMEM;
	if (!error)
		fd = open(name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (!error && fd < 0)
		error = errno;
	if (!error)
		error = fill(fd, text);
	if (!error && place_mount(place, name, NULL, MS_BIND, NULL) < 0)
		error = errno;
	close(place);
	if (error && fd >= 0)
		close(fd);
	if (!error)
		files[count++].fd = fd;
	return error;
}

int etc_make(int root, const struct boot *boot, char *text, size_t size)
{
	int error = 0;

	if (!boot->file_count)
		return 0;
	mkdir(DIRECTORY, 0700);
	if (mount("files", DIRECTORY, "tmpfs", MS_NOSUID | MS_NODEV | MS_NOEXEC,
		  "mode=755,size=8m,nr_inodes=64") < 0)
		error = errno;
	for (uint32_t i = 0; i < boot->file_count && !error; i++) {
		error = make(root, &boot->files[i].text);
		if (error)
			snprintf(text, size, "failed to make '%.200s': %s",
				 boot->files[i].text.path, strerror(error));
	}
	return error;
}

int etc_update(const struct file_text *file)
{
	for (uint32_t i = 0; i < count; i++)
		if (!strcmp(files[i].path, file->path))
			return fill(files[i].fd, file);
	return ENOENT;
}
