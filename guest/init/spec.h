/* SPDX-License-Identifier: Apache-2.0 */
/* What one process shall be, gathered frame by frame. */
#ifndef INIT_SPEC_H
#define INIT_SPEC_H

#include <drupe/protocol.h>
#include <stdbool.h>
#include <stddef.h>

#define SPEC_RLIMITS	16	/* RLIM_NLIMITS */

/* NUL-terminated strings in one block. */
struct texts {
	char *data;
	size_t used;
	size_t space;
	uint32_t count;
};

struct spec {
	struct texts args;
	struct texts env;
	struct texts groups;
	size_t bytes;			/* payload of args and env */
	char *cwd;
	char *user;
	uint32_t rlimit_frames;
	bool rlimit_set[SPEC_RLIMITS];
	struct drupe_rlimit rlimits[SPEC_RLIMITS];
	bool terminal;
	struct drupe_window window;
	bool capabilities_set;
	struct drupe_capabilities capabilities;
	bool sets_set;
	struct drupe_capability_sets sets;
	bool umask_set;
	struct drupe_umask umask;
	bool oom_set;
	struct drupe_oom oom;
};

struct spec *spec_new(void);
void spec_free(struct spec *spec);

/* Takes one frame, ARG to TERMINAL. NULL, or the rule that it breaks. */
const char *spec_add(struct spec *spec, uint16_t type, const uint8_t *payload, size_t size);
/* The last word before START: NULL, or what is missing. */
const char *spec_check(const struct spec *spec);

/* NULL, or why there is no room. @most: of texts. */
const char *texts_add(struct texts *texts, const uint8_t *text, size_t size, uint32_t most);
/* A NULL-terminated vector with @spare more free places; NULL: no memory. */
char **texts_vector(const struct texts *texts, size_t spare);

#endif
