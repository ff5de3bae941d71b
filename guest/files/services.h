/* SPDX-License-Identifier: Apache-2.0 */
/*
 * File services: what the host can ask of a container's files without any tool
 * of the image. Each runs as a process of its own, as root, in the container's
 * root; it talks through stdin, stdout, stderr (see report.h) and its status.
 *
 *	pack PATH NAME		a tar stream of PATH, which is called NAME in it
 *	export			a tar stream of the root, without what is mounted below
 *	layer			a tar stream of what was changed above the image
 *	changes			the same as a list: A, C or D and a path, then NUL
 *	unpack DIR owners|root	a tar stream into DIR; owners: those in the stream
 *	stat PATH follow|link	one record, see tree.c
 *	list DIR		a record for each entry
 *	read FILE		its content
 *	write FILE MODE		its new content; MODE (octal) where it is made
 *	remove PATH one|tree
 *	mkdir PATH MODE one|parents
 */
#ifndef FILES_SERVICES_H
#define FILES_SERVICES_H

#include <stdbool.h>

/* Where the parts of the root are: descriptors, or -1. */
struct layers {
	int lower;		/* the image */
	int upper;		/* what was changed above it */
};

/* @args: the service's name, then its arguments. -1: there is no such service. */
int service_find(char **args);
/* Runs what was found; returns the exit status. */
int service_run(int service, char **args, const struct layers *layers);

int pack_tree(char *path, const char *name);
int pack_root(void);
int pack_layer(const struct layers *layers);
int list_changes(const struct layers *layers);
int unpack_tree(const char *directory, bool owners);
int tree_stat(const char *path, bool follow);
int tree_list(const char *path);
int tree_read(const char *path);
int tree_write(const char *path, unsigned int mode);
int tree_remove(const char *path, bool whole);
int tree_mkdir(const char *path, unsigned int mode, bool parents);

#endif
