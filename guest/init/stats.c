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
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "machine.h"

#define SECTOR_BYTES	512
#define COMMAND_BYTES	256
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

static void take_threads(const char *line, struct drupe_figures *figures)
{
	unsigned int threads;

	if (sscanf(line, "%*s %*s %*s %*u/%u", &threads) == 1)
		figures->threads = threads;
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

void stats_figures(struct drupe_figures *figures)
{
	memset(figures, 0, sizeof(*figures));
	each_line("meminfo", take_memory, figures);
	each_line("loadavg", take_threads, figures);
	each_line("diskstats", take_disk, figures);
	each_line("net/dev", take_interface, figures);
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

static size_t put_process(const char *pid, char *line)
{
	char path[288];
	char text[512];
	char command[COMMAND_BYTES];
	struct stat owner;
	unsigned long long user, system, start;
	long pages;
	char state, *name, *rest;
	FILE *file;
	size_t size = 0;
	int parent;

	snprintf(path, sizeof(path), "%s/stat", pid);
	file = open_file(path);
	if (file) {
		size = fread(text, 1, sizeof(text) - 1, file);
		if (fstat(fileno(file), &owner) < 0)
			size = 0;
		fclose(file);
	}
	text[size] = 0;
	name = strchr(text, '(');
	rest = strrchr(text, ')');
	if (!name || !rest)
		return 0;
	*rest = 0;
	if (sscanf(rest + 1, " %c %d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu %*d %*d %*d "
		   "%*d %*d %*d %llu %*u %ld", &state, &parent, &user, &system, &start,
		   &pages) != 6)
		return 0;
	read_command(pid, name + 1, command, sizeof(command));
	return (size_t)snprintf(line, LINE_BYTES, "%s %d %u %c %llu %llu %ld %s\n", pid, parent,
				owner.st_uid, state, user + system, start, pages, command);
}

size_t stats_processes(char *text, size_t size)
{
	int fd = openat(machine_proc(), ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *directory = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;
	char line[LINE_BYTES];
	size_t used = 0;

	if (!directory) {
		if (fd >= 0)
			close(fd);
		return 0;
	}
	while ((entry = readdir(directory))) {
		size_t length;

		if (!isdigit((unsigned char)*entry->d_name))
			continue;
		length = put_process(entry->d_name, line);
		if (length >= sizeof(line))
			length = sizeof(line) - 1;
		if (used + length > size)
			break;
		memcpy(text + used, line, length);
		used += length;
	}
	closedir(directory);
	return used;
}
