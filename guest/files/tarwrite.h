/* SPDX-License-Identifier: Apache-2.0 */
/* Writes the headers of a tar stream to standard output. */
#ifndef FILES_TARWRITE_H
#define FILES_TARWRITE_H

#include <stddef.h>

#include "tar.h"

/* An extended attribute of the next entry. */
void tar_put_xattr(const char *name, const void *value, size_t size);
/* The header of an entry, and of its map if it has pieces; its data is to follow. */
void tar_put_entry(const struct tar_entry *entry);
void tar_put_padding(uint64_t size);	/* after @size bytes of data */
void tar_put_end(void);

#endif
