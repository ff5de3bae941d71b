// SPDX-License-Identifier: Apache-2.0
/*
 * Fuzzes the guest's parsers: frames, mounts, process specifications, and the
 * container's passwd and group files. See README.md here.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "boot.h"
#include "frame.h"
#include "spec.h"
#include "user.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct boot boot;

static void check_vector(const struct texts *texts)
{
	char **vector = texts_vector(texts, 2);
	uint32_t count = 0;

	while (vector && vector[count])
		count++;
	if (vector && count != texts->count)
		abort();
	free(vector);
}

/* The first process's user, in files made of its arguments and environment. */
static void check_user(const struct spec *spec)
{
	static struct user user;
	char **groups = texts_vector(&spec->groups, 0);
	char *wanted = strdup(spec->user ? spec->user : "");
	char *passwd = spec->args.count ? spec->args.data : (char *)"";
	char *group = spec->env.count ? spec->env.data : (char *)"";

	if (groups && wanted && !user_parse(&user, wanted, groups, passwd, group) &&
	    (user.count > USER_GROUPS_MAX || strlen(user.home) >= sizeof(user.home)))
		abort();
	free(groups);
	free(wanted);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct spec *spec = spec_new();
	struct drupe_frame frame;
	const char *why = NULL;
	long length;

	while (spec && !why && (length = frame_next(data, size, &frame, &why)) > 0) {
		const uint8_t *payload = data + sizeof(frame);

		if ((size_t)length > size || length != (long)(sizeof(frame) + frame.size))
			abort();
		switch (frame.type) {
		case DRUPE_HOSTNAME:
		case DRUPE_MOUNT:
		case DRUPE_INTERFACE ... DRUPE_FILE:
		case DRUPE_LIMIT:
		case DRUPE_SYSCTL:
			why = boot_add(&boot, frame.type, payload, frame.size);
			break;
		case DRUPE_ARG ... DRUPE_TERMINAL:
		case DRUPE_CAPABILITIES ... DRUPE_OOM:
			why = spec_add(spec, frame.type, payload, frame.size);
			break;
		default:
			break;
		}
		data += length;
		size -= (size_t)length;
	}
	if (spec && !spec_check(spec)) {
		check_vector(&spec->args);
		check_vector(&spec->env);
		check_user(spec);
	}
	spec_free(spec);
	boot_clear(&boot);
	return 0;
}

#ifdef STANDALONE
/* Without libFuzzer: each argument is a file of input; without any, stdin. */
static void run(FILE *file)
{
	static uint8_t data[4 << 20];
	size_t size = fread(data, 1, sizeof(data), file);
	/* An exact allocation, so that ASan sees each byte read too far. */
	uint8_t *copy = malloc(size ? size : 1);

	if (!copy)
		abort();
	memcpy(copy, data, size);
	LLVMFuzzerTestOneInput(copy, size);
	free(copy);
}

int main(int argc, char **argv)
{
	for (int i = 1; i < argc; i++) {
		FILE *file = fopen(argv[i], "rb");

		if (!file) {
			perror(argv[i]);
			return 1;
		}
		run(file);
		fclose(file);
	}
	if (argc < 2)
		run(stdin);
	return 0;
}
#endif
