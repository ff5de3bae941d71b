// SPDX-License-Identifier: Apache-2.0
/* The shape of single frames. Pure: no state, no I/O. */
#include "frame.h"

#include <string.h>

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "frames are copied as they are");
_Static_assert(sizeof(struct drupe_frame) == 8, "frame header");

/* Longest host name of a path, a mount source and so on, with its NUL. */
#define NAME_BYTES	256
#define PATH_BYTES	4096
/* mount(2) takes at most a page of each string. */
#define MOUNT_BYTES	(sizeof(struct drupe_mount) + 4 * PATH_BYTES)

struct rule {
	uint16_t type;
	bool text;		/* no NUL inside */
	uint32_t least;		/* payload bytes */
	uint32_t most;
};

#define EXACTLY(type, what)	{ type, false, sizeof(what), sizeof(what) }
#define EMPTY(type)		{ type, false, 0, 0 }

static const struct rule rules[] = {
	EXACTLY(DRUPE_HELLO, struct drupe_hello),
	{ DRUPE_HOSTNAME, true, 1, DRUPE_HOSTNAME_MAX },
	{ DRUPE_MOUNT, false, sizeof(struct drupe_mount) + 4, MOUNT_BYTES },
	{ DRUPE_DOMAINNAME, true, 1, DRUPE_HOSTNAME_MAX },
	EMPTY(DRUPE_BOOT),
	{ DRUPE_INTERFACE, false, sizeof(struct drupe_interface) + 1,
	  sizeof(struct drupe_interface) + DRUPE_INTERFACE_NAME_MAX },
	EXACTLY(DRUPE_ADDRESS, struct drupe_address),
	EXACTLY(DRUPE_ROUTE, struct drupe_route),
	{ DRUPE_FILE, false, sizeof(struct drupe_file) + 3, DRUPE_FRAME_MAX },
	EXACTLY(DRUPE_RESTART, struct drupe_restart),
	{ DRUPE_HEALTH, false, sizeof(struct drupe_health) + 1, DRUPE_FRAME_MAX },
	EXACTLY(DRUPE_LIMIT, struct drupe_limit),
	{ DRUPE_SYSCTL, false, 3, 2 * NAME_BYTES },
	{ DRUPE_ARG, true, 0, DRUPE_FRAME_MAX },
	{ DRUPE_ENV, true, 2, DRUPE_FRAME_MAX },
	{ DRUPE_CWD, true, 1, PATH_BYTES - 1 },
	{ DRUPE_USER, true, 0, 2 * NAME_BYTES },
	{ DRUPE_GROUP, true, 1, NAME_BYTES },
	EXACTLY(DRUPE_RLIMIT, struct drupe_rlimit),
	EXACTLY(DRUPE_CAPABILITIES, struct drupe_capabilities),
	EXACTLY(DRUPE_CAPABILITY_SETS, struct drupe_capability_sets),
	EXACTLY(DRUPE_UMASK, struct drupe_umask),
	EXACTLY(DRUPE_OOM, struct drupe_oom),
	EXACTLY(DRUPE_TERMINAL, struct drupe_window),
	EXACTLY(DRUPE_START, struct drupe_start),
	{ DRUPE_STDIN, false, 0, DRUPE_FRAME_MAX },
	EMPTY(DRUPE_STDIN_EOF),
	EXACTLY(DRUPE_SIGNAL, struct drupe_signal),
	EXACTLY(DRUPE_WINDOW, struct drupe_window),
	EMPTY(DRUPE_DETACH),
	EXACTLY(DRUPE_KILL, struct drupe_signal),
	EXACTLY(DRUPE_STOP, struct drupe_stop),
	{ DRUPE_FILE_UPDATE, false, sizeof(struct drupe_file) + 3, DRUPE_FRAME_MAX },
	EMPTY(DRUPE_ATTACH),
	EMPTY(DRUPE_RELEASE),
	EXACTLY(DRUPE_KILL_ALL, struct drupe_signal),
	EXACTLY(DRUPE_STATS, struct drupe_stats),
};

static const struct rule *rule_of(uint16_t type)
{
	for (size_t i = 0; i < sizeof(rules) / sizeof(rules[0]); i++)
		if (rules[i].type == type)
			return &rules[i];
	return NULL;
}

bool text_ok(const uint8_t *text, size_t size)
{
	return !size || !memchr(text, 0, size);
}

long frame_next(const uint8_t *data, size_t size, struct drupe_frame *frame, const char **why)
{
	const struct rule *rule;

	if (size < FRAME_HEAD)
		return 0;
	memcpy(frame, data, FRAME_HEAD);
	/* The header is judged at once: a wrong one is not waited for. */
	rule = rule_of(frame->type);
	if (frame->zero)
		*why = "nonzero padding in a frame header";
	else if (!rule)
		*why = "unknown frame type";
	else if (frame->size > DRUPE_FRAME_MAX)
		*why = "oversized frame";
	else if (frame->size < rule->least || frame->size > rule->most)
		*why = "wrong frame size";
	else if (size - FRAME_HEAD < frame->size)
		return 0;
	else if (rule->text && !text_ok(data + FRAME_HEAD, frame->size))
		*why = "NUL in a text";
	else
		return (long)(FRAME_HEAD + frame->size);
	return -1;
}

static bool holds_dotdot(const char *path)
{
	while (*path) {
		size_t length = strcspn(path, "/");

		if (length == 2 && path[0] == '.' && path[1] == '.')
			return true;
		path += length;
		path += strspn(path, "/");
	}
	return false;
}

const char *mount_parse(const uint8_t *payload, size_t size, uint32_t *flags,
			struct mount_text *text)
{
	const char **strings[] = { &text->type, &text->source, &text->target, &text->options };
	const uint8_t *at = payload + sizeof(struct drupe_mount);
	const uint8_t *end = payload + size;

	if (size < sizeof(struct drupe_mount))
		return "wrong frame size";
	memcpy(flags, payload, sizeof(*flags));
	if (*flags & ~DRUPE_MOUNT_KNOWN)
		return "unknown mount flag";
	for (int i = 0; i < 4; i++) {
		const uint8_t *nul = at < end ? memchr(at, 0, (size_t)(end - at)) : NULL;

		if (!nul)
			return "a mount needs four strings";
		if (nul - at >= PATH_BYTES)
			return "a mount string is too long";
		*strings[i] = (const char *)at;
		at = nul + 1;
	}
	if (at != end)
		return "bytes after a mount's strings";
	if (!*text->type)
		return "a mount needs a file system type";
	if (*text->target != '/' || holds_dotdot(text->target))
		return "a mount target is an absolute path without '..'";
	return NULL;
}

const char *file_parse(const uint8_t *payload, size_t size, struct file_text *file)
{
	const uint8_t *path = payload + sizeof(struct drupe_file);
	const uint8_t *end = payload + size;
	const uint8_t *nul;

	if (size < sizeof(struct drupe_file))
		return "wrong frame size";
	memcpy(&file->mode, payload, sizeof(file->mode));
	if (file->mode & ~0777u)
		return "a file has permissions of at most 0777";
	nul = memchr(path, 0, (size_t)(end - path));
	if (!nul || nul - path >= PATH_BYTES)
		return "a file needs a path";
	file->path = (const char *)path;
	file->content = nul + 1;
	file->size = (size_t)(end - file->content);
	if (*file->path != '/' || nul[-1] == '/' || holds_dotdot(file->path))
		return "a file has an absolute path without '..'";
	return NULL;
}
