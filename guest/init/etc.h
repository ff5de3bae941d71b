/* SPDX-License-Identifier: Apache-2.0 */
/* Small files that appear in the container: /etc/hosts and the like. */
#ifndef INIT_ETC_H
#define INIT_ETC_H

#include <stddef.h>

struct boot;
struct file_text;

/*
 * Makes them and mounts them below @root. Those that a root which is only read
 * has no place for are left out. 0, or an errno with the reason in @text.
 */
int etc_make(int root, const struct boot *boot, char *text, size_t size);
/* New content for one of them; ENOENT: it is none. 0 or an errno. */
int etc_update(const struct file_text *file);

#endif
