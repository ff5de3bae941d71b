/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What lies below the init: a container kernel, or, for tests, the host (the
 * fake guest of machine_host.c).
 */
#ifndef INIT_MACHINE_H
#define INIT_MACHINE_H

#include <drupe/protocol.h>
#include <stddef.h>

struct boot;
struct file_text;
struct layers;

void machine_init(void);
/* A host file: a descriptor, or -errno; -ENOENT where the host gave none. */
int machine_open(enum drupe_host_file file);
int machine_accept(int control);	/* nonblocking descriptor or -errno */
/* Mounts and devices. 0, or a positive errno with the reason in @text. */
int machine_boot(const struct boot *boot, char *text, size_t size);
void machine_layers(struct layers *layers);	/* of the root, see files/services.h */
/* New content of a file that @boot held. 0 or a positive errno. */
int machine_update(const struct file_text *file);
int machine_proc(void);			/* a directory: the machine's /proc */
int machine_ptmx(void);			/* a new PTY's master or -errno */
void machine_child(void);		/* in a new child, before all else */
/* At most so many processes and threads of the container; 0: no limit. 0 or an errno. */
int machine_limit_pids(uint64_t most);
/* What the host process of the machine is to end with. */
void machine_exit_status(int status);
int machine_signal_all(int signal);	/* to all but the init; 0 or an errno */
_Noreturn void machine_power_off(void);

#endif
