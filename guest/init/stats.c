// SPDX-License-Identifier: Apache-2.0
/*
 * Figures of the container. They are read through a /proc of the init's own,
 * which the container cannot mount anything over.
 */
#define _GNU_SOURCE
#include "stats.h"

#include <ctype.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "machine.h"

#define SECTOR_BYTES	512
#define COMMAND_BYTES	256
#define KTHREADD	2		/* parent of the kernel's threads */
#define LINE_BYTES	(COMMAND_BYTES + 128)

static FILE *open_file(const char *name)
{
	int fd = openat(machine_proc(), name, O_RDONLY | O_CLOEXEC);
	FILE *file = fd < 0 ? NULL : fdopen(fd, "r");

	if (!file && fd >= 0)
		close(fd);
	return file;
}

/* What is left out is not there: a fitted kernel may lack a file. */
static void each_line(const char *name, void (*take)(const char *line, struct drupe_figures *),
		      struct drupe_figures *figures)
{
	FILE *file = open_file(name);
	char line[512];

	if (!file)
		return;
	while (fgets(line, sizeof(line), file))
		take(line, figures);
	fclose(file);
}

static void take_memory(const char *line, struct drupe_figures *figures)
{
	unsigned long long kib;

	if (sscanf(line, "MemTotal: %llu", &kib) == 1)
		figures->memory_bytes = kib << 10;
	else if (sscanf(line, "MemAvailable: %llu", &kib) == 1)
		figures->memory_used_bytes = figures->memory_bytes - (kib << 10);
}

/* MAJOR MINOR NAME READS MERGED SECTORS MS WRITES MERGED SECTORS: whole disks only. */
static void take_disk(const char *line, struct drupe_figures *figures)
{
	unsigned long long sectors_read, sectors_written;
	char name[32];

	if (sscanf(line, "%*u %*u %31s %*u %*u %llu %*u %*u %*u %llu", name, &sectors_read,
		   &sectors_written) != 3 || strncmp(name, "ubd", 3) || strlen(name) != 4)
		return;
	figures->block_read_bytes += sectors_read * SECTOR_BYTES;
	figures->block_written_bytes += sectors_written * SECTOR_BYTES;
}

static void take_interface(const char *line, struct drupe_figures *figures)
{
	unsigned long long received, sent;
	char name[32];

	if (sscanf(line, " %31[^:]: %llu %*u %*u %*u %*u %*u %*u %*u %llu", name, &received,
		   &sent) != 3 || !strcmp(name, "lo"))
		return;
	figures->net_received_bytes += received;
	figures->net_sent_bytes += sent;
}

/* The command line, or the name in brackets: what ps shows. */
static void read_command(const char *pid, const char *name, char *command, size_t size)
{
	char path[288];
	FILE *file;
	size_t used = 0;

	snprintf(path, sizeof(path), "%s/cmdline", pid);
	file = open_file(path);
	if (file) {
		used = fread(command, 1, size - 1, file);
		fclose(file);
	}
	while (used && !command[used - 1])
		used--;
	for (size_t i = 0; i < used; i++)
		if ((unsigned char)command[i] < ' ' || command[i] == 127)
			command[i] = ' ';
	command[used] = 0;
	if (!used)
		snprintf(command, size, "[%s]", name);
}

/* What /proc/PID/stat tells. */
struct task {
	char name[64];
	unsigned int uid;
	char state;
	int parent;
	int threads;
	unsigned long long ticks;
	unsigned long long start;
	long pages;
};

static bool read_task(const char *pid, struct task *task)
{
	unsigned long long user, system;
	char path[288];
	char text[512];
	struct stat owner = { 0 };
	char *name, *rest;
	size_t size = 0;
	FILE *file;

	snprintf(path, sizeof(path), "%s/stat", pid);
	file = open_file(path);
	if (file) {
		size = fread(text, 1, sizeof(text) - 1, file);
		fstat(fileno(file), &owner);
		fclose(file);
	}
	text[size] = 0;
	name = strchr(text, '(');
	rest = strrchr(text, ')');
	if (!name || !rest)
		return false;
	*rest = 0;
	snprintf(task->name, sizeof(task->name), "%s", name + 1);
	task->uid = owner.st_uid;
	if (sscanf(rest + 1, " %c %d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu %*d %*d %*d "
		   "%*d %d %*d %llu %*u %ld", &task->state, &task->parent, &user, &system,
		   &task->threads, &task->start, &task->pages) != 7)
		return false;
	task->ticks = user + system;
	return true;
}

static size_t put_process(const char *pid, const struct task *task, char *line)
{
	char command[COMMAND_BYTES];
	int length;

	read_command(pid, task->name, command, sizeof(command));
	length = snprintf(line, LINE_BYTES, "%s %d %u %c %llu %llu %ld %s\n", pid, task->parent,
			  task->uid, task->state, task->ticks, task->start, task->pages, command);
	return length < LINE_BYTES ? (size_t)length : LINE_BYTES - 1;
}

/* Each of the container's: the init and the kernel's threads are left out. */
static void each_process(bool (*take)(const char *pid, const struct task *task, void *data),
			 void *data)
{
	int fd = openat(machine_proc(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *directory = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;
	struct task task;

	if (!directory) {
		if (fd >= 0)
			close(fd);
		return;
	}
	while ((entry = readdir(directory)))
		if (isdigit((unsigned char)*entry->d_name) && atoi(entry->d_name) > KTHREADD &&
		    read_task(entry->d_name, &task) && task.parent != KTHREADD &&
		    !take(entry->d_name, &task, data))
			break;
	closedir(directory);
}

static bool count_threads(const char *pid, const struct task *task, void *data)
{
	struct drupe_figures *figures = data;

	figures->threads += (uint64_t)task->threads;
	return true;
}

void stats_figures(struct drupe_figures *figures)
{
	memset(figures, 0, sizeof(*figures));
	each_line("meminfo", take_memory, figures);
	each_line("diskstats", take_disk, figures);
	each_line("net/dev", take_interface, figures);
	each_process(count_threads, figures);
}

struct lines {
	char *text;
	size_t size;
	size_t used;
};

static bool add_line(const char *pid, const struct task *task, void *data)
{
	struct lines *lines = data;
	char line[LINE_BYTES];
	size_t length = put_process(pid, task, line);

	if (lines->used + length > lines->size)
		return false;
	memcpy(lines->text + lines->used, line, length);
	lines->used += length;
	return true;
}

size_t stats_processes(char *text, size_t size)
{
	struct lines lines = { text, size, 0 };

	each_process(add_line, &lines);
	return lines.used;
}
