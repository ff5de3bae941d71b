// SPDX-License-Identifier: Apache-2.0
/* What one process shall be, gathered frame by frame and bounded. */
#include "spec.h"

#include <stdlib.h>
#include <string.h>

static const char no_memory[] = "out of memory";
static const char twice[] = "a frame that may come once came twice";

struct spec *spec_new(void)
{
	return calloc(1, sizeof(struct spec));
}

void spec_free(struct spec *spec)
{
	if (!spec)
		return;
	free(spec->args.data);
	free(spec->env.data);
	free(spec->groups.data);
	free(spec->cwd);
	free(spec->user);
	free(spec);
}

const char *texts_add(struct texts *texts, const uint8_t *text, size_t size, uint32_t most)
{
	if (texts->count >= most)
		return "too many frames of one type";
	if (texts->space - texts->used < size + 1) {
		size_t space = texts->space ? texts->space * 2 : 1024;
		char *data;

		while (space - texts->used < size + 1)
			space *= 2;
		data = realloc(texts->data, space);
		if (!data)
			return no_memory;
		texts->data = data;
		texts->space = space;
	}
	if (size)
		memcpy(texts->data + texts->used, text, size);
	texts->data[texts->used + size] = 0;
	texts->used += size + 1;
	texts->count++;
	return NULL;
}

char **texts_vector(const struct texts *texts, size_t spare)
{
	char **vector = calloc(texts->count + spare + 1, sizeof(*vector));
	char *at = texts->data;

	if (!vector)
		return NULL;
	for (uint32_t i = 0; i < texts->count; i++) {
		vector[i] = at;
		at += strlen(at) + 1;
	}
	return vector;
}

static const char *add_once(char **place, const uint8_t *text, size_t size)
{
	if (*place)
		return twice;
	*place = malloc(size + 1);
	if (!*place)
		return no_memory;
	if (size)
		memcpy(*place, text, size);
	(*place)[size] = 0;
	return NULL;
}

static const char *add_rlimit(struct spec *spec, const uint8_t *payload)
{
	struct drupe_rlimit limit;

	memcpy(&limit, payload, sizeof(limit));
	if (limit.resource >= SPEC_RLIMITS || limit.zero)
		return "unknown resource limit";
	if (spec->rlimit_frames++ >= DRUPE_COUNT_MAX)
		return "too many frames of one type";
	spec->rlimits[limit.resource] = limit;
	spec->rlimit_set[limit.resource] = true;
	return NULL;
}

static const char *add_capabilities(struct spec *spec, const uint8_t *payload)
{
	struct drupe_capabilities *capabilities = &spec->capabilities;

	if (spec->capabilities_set)
		return twice;
	spec->capabilities_set = true;
	memcpy(capabilities, payload, sizeof(*capabilities));
	return capabilities->no_new_privs > 1 || capabilities->zero ? "unknown capabilities" : NULL;
}

static const char *add_sets(struct spec *spec, const uint8_t *payload)
{
	const struct drupe_capability_sets *sets = &spec->sets;

	if (spec->sets_set)
		return twice;
	spec->sets_set = true;
	memcpy(&spec->sets, payload, sizeof(spec->sets));
	if (sets->effective & ~sets->permitted)
		return "an effective capability that is not permitted";
	return NULL;
}

static const char *add_umask(struct spec *spec, const uint8_t *payload)
{
	if (spec->umask_set)
		return twice;
	spec->umask_set = true;
	memcpy(&spec->umask, payload, sizeof(spec->umask));
	return spec->umask.mask > 0777 ? "no such file mode mask" : NULL;
}

static const char *add_oom(struct spec *spec, const uint8_t *payload)
{
	if (spec->oom_set)
		return twice;
	spec->oom_set = true;
	memcpy(&spec->oom, payload, sizeof(spec->oom));
	return spec->oom.score > 2000 ? "no such OOM score" : NULL;
}

const char *spec_add(struct spec *spec, uint16_t type, const uint8_t *payload, size_t size)
{
	switch (type) {
	case DRUPE_ARG:
	case DRUPE_ENV:
		if (spec->bytes + size > DRUPE_SPEC_MAX)
			return "arguments and environment are too large";
		spec->bytes += size;
		if (type == DRUPE_ARG)
			return texts_add(&spec->args, payload, size, DRUPE_COUNT_MAX);
		if (payload[0] == '=' || !memchr(payload, '=', size))
			return "an environment entry is not NAME=value";
		return texts_add(&spec->env, payload, size, DRUPE_COUNT_MAX);
	case DRUPE_CWD:
		if (payload[0] != '/')
			return "the working directory is not an absolute path";
		return add_once(&spec->cwd, payload, size);
	case DRUPE_USER:
		return add_once(&spec->user, payload, size);
	case DRUPE_GROUP:
		return texts_add(&spec->groups, payload, size, DRUPE_GROUPS_MAX);
	case DRUPE_RLIMIT:
		return add_rlimit(spec, payload);
	case DRUPE_CAPABILITIES:
		return add_capabilities(spec, payload);
	case DRUPE_CAPABILITY_SETS:
		return add_sets(spec, payload);
	case DRUPE_UMASK:
		return add_umask(spec, payload);
	case DRUPE_OOM:
		return add_oom(spec, payload);
	case DRUPE_TERMINAL:
		if (spec->terminal)
			return twice;
		spec->terminal = true;
		memcpy(&spec->window, payload, sizeof(spec->window));
		return NULL;
	default:
		return "not a frame of a process";
	}
}

const char *spec_check(const struct spec *spec)
{
	return spec && spec->args.count ? NULL : "a process needs an argument";
}
