/* SPDX-License-Identifier: Apache-2.0 */
/* Hard links: which names of a stream are the same file. */
#ifndef FILES_LINKS_H
#define FILES_LINKS_H

#include <sys/stat.h>

/*
 * The name under which this file was seen before; else NULL, and @name is kept
 * for it.
 */
const char *links_seen(const struct stat *file, const char *name);

#endif
