// SPDX-License-Identifier: GPL-2.0-only
/*
 * The files that the guest knows. A directory is a
 * descriptor, opened anew where there were too many; any other file is a name
 * in a directory, compared with what it was each time that it is used.
 */
#include <stdio.h>
#include <sys/mman.h>
#include "broker.h"

#define HASH_SIZE		(1U << 16)
#define ROOT_FIRST		1U
#define LEAST_NODES		(1U << 14)
#define MOST_NODES		(1U << 21)
#define BYTES_PER_NODE		1024	/* the guest needs more than that for one */
#define LONG_NAMES		(1U << 16)
#define NAME_SIZE		256
#define MOST_DIRECTORIES	16384	/* that are open because the guest knows them */
#define MOST_DEPTH		4096
#define NO_SHARE		UINT32_MAX	/* of a place that is free */

static struct node *nodes;
static uint32_t node_count, node_top, node_free;
static uint32_t hash[HASH_SIZE];
static char (*long_names)[NAME_SIZE];
static uint32_t long_top = 1, long_free;
static uint32_t roots, open_directories, hand;
static uint32_t cwd, cwd_generation;

/**
 * nodes_reserve() - memory that takes none until it is used
 */
void *nodes_reserve(size_t size)
{
	void *at = mmap(NULL, size, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return at == MAP_FAILED ? NULL : at;
}

uint32_t node_index(const struct node *node)
{
	return node - nodes;
}

struct node *node_at(uint32_t index)
{
	return &nodes[index];
}

uint64_t node_id(const struct node *node)
{
	return node_index(node) | (uint64_t)node->generation << 32;
}

static int64_t born(const struct statx *st)
{
	return st->stx_btime.tv_sec * 1000000000ULL + st->stx_btime.tv_nsec;
}

static uint64_t device(const struct statx *st)
{
	return (uint64_t)st->stx_dev_major << 32 | st->stx_dev_minor;
}

/**
 * node_is() - is that the same file?
 */
int node_is(const struct node *node, const struct statx *st)
{
	return node->ino == st->stx_ino && node->dev == device(st) && node->born == born(st);
}

static uint32_t *chain(uint32_t share, uint64_t dev, uint64_t ino)
{
	uint64_t mixed = (ino + dev * 31 + share) * 0x9e3779b97f4a7c15ULL;

	return &hash[mixed >> 48];
}

static struct node *new_node(uint32_t share, const struct statx *st)
{
	uint32_t index = node_free, generation, *first;
	struct node *node;

	if (index)
		node_free = nodes[index].next;
	else if (node_top < node_count)
		index = node_top++;
	else
		return NULL;
	node = &nodes[index];
	generation = node->generation + 1;
	memset(node, 0, sizeof(*node));
	node->generation = generation ? generation : 1;
	node->share = share;
	node->dev = device(st);
	node->ino = st->stx_ino;
	node->born = born(st);
	node->mode = st->stx_mode;
	node->fd = -1;
	node->lock_fd = -1;
	first = chain(share, node->dev, node->ino);
	node->next = *first;
	*first = index;
	return node;
}

static void close_directory(struct node *node)
{
	if (node->fd < 0)
		return;
	close(node->fd);
	node->fd = -1;
	open_directories--;
}

static void set_name(struct node *node, const char *name)
{
	size_t len = strlen(name);

	if (len < NODE_NAME) {
		memcpy(node->name, name, len + 1);
		return;
	}
	node->name[0] = 0;
	if (!node->long_name) {
		node->long_name = long_free;
		if (long_free)
			memcpy(&long_free, long_names[long_free], sizeof(long_free));
		else if (long_top < LONG_NAMES)
			node->long_name = long_top++;
		else
			return;	/* it cannot be found by its name then */
	}
	memcpy(long_names[node->long_name], name, len + 1);
}

static const char *name_of(const struct node *node)
{
	return node->name[0] || !node->long_name ? node->name : long_names[node->long_name];
}

static void put_parent(struct node *node)
{
	struct node *parent = &nodes[node->parent];

	if (!node->parent)
		return;
	node->parent = 0;
	parent->children--;
	node_release(parent);
}

/* Is @node @directory, or does it hold that? Not if so deep that none can tell. */
static int holds(const struct node *node, const struct node *directory)
{
	int depth;

	for (depth = 0; depth < MOST_DEPTH; depth++) {
		if (directory == node)
			return 1;
		if (!directory->parent)
			return 0;
		directory = &nodes[directory->parent];
	}
	return 1;
}

static void set_place(struct node *node, struct node *parent, const char *name)
{
	if (node_index(node) < ROOT_FIRST + roots)
		return;
	if (node->parent != node_index(parent)) {
		if (S_ISDIR(node->mode) && holds(node, parent))
			return;
		parent->children++;
		put_parent(node);
		node->parent = node_index(parent);
	} else if (!strcmp(name_of(node), name)) {
		return;
	}
	set_name(node, name);
}

/**
 * node_release() - frees a node that nobody needs, then its directory, if
 *	nobody needs that
 */
void node_release(struct node *node)
{
	uint32_t *at, index = node_index(node);
	struct node *parent;

	while (index >= ROOT_FIRST + roots && !node->lookups && !node->children && !node->opens) {
		at = chain(node->share, node->dev, node->ino);
		while (*at != index)
			at = &nodes[*at].next;
		*at = node->next;
		close_directory(node);
		if (node->long_name) {
			memcpy(long_names[node->long_name], &long_free, sizeof(long_free));
			long_free = node->long_name;
		}
		parent = &nodes[node->parent];
		node->next = node_free;
		node->share = NO_SHARE;
		node_free = index;
		if (!node->parent)
			return;
		parent->children--;
		node = parent;
		index = node_index(node);
	}
}

/**
 * node_find() - the node that the guest means
 *
 * Returns: NULL if there is none with that number in that share.
 */
struct node *node_find(const struct request *request, uint64_t id)
{
	uint32_t index = id, generation = id >> 32;

	if (id == FUSE_ROOT_ID)
		return request->share < roots ? &nodes[ROOT_FIRST + request->share] : NULL;
	if (index >= node_top || nodes[index].generation != generation ||
	    nodes[index].share != request->share)
		return NULL;
	return &nodes[index];
}

/**
 * node_get() - the node of a file that was seen in a directory
 *
 * Returns: NULL if there is no room for another.
 */
struct node *node_get(struct node *parent, const char *name, const struct statx *st)
{
	uint32_t index = *chain(parent->share, device(st), st->stx_ino);
	struct node *node;

	for (; index; index = nodes[index].next) {
		node = &nodes[index];
		if (node->share == parent->share && node_is(node, st))
			break;
	}
	if (!index) {
		node = new_node(parent->share, st);
		if (!node)
			return NULL;
	}
	set_place(node, parent, name);
	return node;
}

void node_forget(struct node *node, uint64_t count)
{
	node->lookups -= count < node->lookups ? count : node->lookups;
	node_release(node);
}

/**
 * node_moved() - the guest has given a file another name: it is known by that
 *
 * The working directory is @parent.
 */
void node_moved(struct node *parent, const char *name)
{
	uint32_t index;
	struct statx st;

	if (statx(AT_FDCWD, name, AT_SYMLINK_NOFOLLOW, SEEN_MASK, &st))
		return;
	index = *chain(parent->share, device(&st), st.stx_ino);
	for (; index; index = nodes[index].next) {
		if (nodes[index].share == parent->share && node_is(&nodes[index], &st)) {
			set_place(&nodes[index], parent, name);
			return;
		}
	}
}

/* Closes a directory that is open only so that it need not be opened again */
static void close_some_directory(void)
{
	uint32_t tries;

	for (tries = 0; tries < node_top; tries++) {
		hand = hand + 1 < node_top ? hand + 1 : ROOT_FIRST + roots;
		if (hand >= ROOT_FIRST + roots && hand < node_top && nodes[hand].fd >= 0) {
			close_directory(&nodes[hand]);
			return;
		}
	}
}

static int open_in(int parent, struct node *node)
{
	struct statx st;
	int fd;

	if (open_directories >= MOST_DIRECTORIES)
		close_some_directory();
	fd = openat(parent, name_of(node), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT || errno == ENOTDIR || errno == ELOOP ? -ESTALE : -errno;
	if (statx(fd, "", AT_EMPTY_PATH, SEEN_MASK, &st) || !node_is(node, &st)) {
		close(fd);
		return -ESTALE;
	}
	node->fd = fd;
	open_directories++;
	return fd;
}

/**
 * node_fd() - the descriptor of a directory, which is no right to read it
 */
int node_fd(struct node *directory)
{
	struct node *at;
	int depth, fd;

	if (!S_ISDIR(directory->mode))
		return -ENOTDIR;
	while (directory->fd < 0) {
		at = directory;
		for (depth = 0; at->parent && nodes[at->parent].fd < 0; depth++) {
			if (depth == MOST_DEPTH)
				return -ESTALE;
			at = &nodes[at->parent];
		}
		if (!at->parent)
			return -ESTALE;
		fd = open_in(nodes[at->parent].fd, at);
		if (fd < 0)
			return fd;
	}
	return directory->fd;
}

/**
 * node_enter() - makes a directory the working directory
 *
 * Some calls take no descriptor, but a name in there.
 */
int node_enter(struct node *directory)
{
	int fd;

	if (cwd == node_index(directory) && cwd_generation == directory->generation)
		return 0;
	fd = node_fd(directory);
	if (fd < 0)
		return fd;
	if (fchdir(fd))
		return -errno;
	cwd = node_index(directory);
	cwd_generation = directory->generation;
	return 0;
}

/**
 * node_place() - goes to where a file was seen last
 * @err:	why that cannot be
 *
 * Returns: its name in the working directory, or NULL. Something else may be
 * there now.
 */
const char *node_place(struct node *node, int *err)
{
	if (S_ISDIR(node->mode)) {
		*err = node_enter(node);
		return *err ? NULL : ".";
	}
	*err = node->parent ? node_enter(&nodes[node->parent]) : -ESTALE;
	return *err ? NULL : name_of(node);
}

/**
 * node_reach() - goes to where a file is
 * @st:		what is there
 * @err:	why it cannot be reached
 *
 * Returns: its name in the working directory, or NULL.
 */
const char *node_reach(struct node *node, struct statx *st, int *err)
{
	const char *name = node_place(node, err);

	if (!name)
		return NULL;
	if (statx(AT_FDCWD, name, AT_SYMLINK_NOFOLLOW, SEEN_MASK, st))
		*err = errno == ENOENT ? -ESTALE : -errno;
	else if (!node_is(node, st))
		*err = -ESTALE;
	return *err ? NULL : name;
}

/**
 * nodes_init() - opens the shares
 *
 * Returns: 0, or -1 and errno.
 */
int nodes_init(int shares, unsigned long memory_size)
{
	char path[32];
	int i;

	node_count = memory_size / BYTES_PER_NODE;
	node_count = node_count < LEAST_NODES ? LEAST_NODES : node_count;
	node_count = node_count > MOST_NODES ? MOST_NODES : node_count;
	nodes = nodes_reserve(node_count * sizeof(*nodes));
	long_names = nodes_reserve(LONG_NAMES * sizeof(*long_names));
	if (!nodes || !long_names || handles_init() || shares < 0 || shares > 1024)
		return -1;
	node_top = ROOT_FIRST;
	nodes[0].share = NO_SHARE;
	for (i = 0; i < shares; i++) {
		struct statx st;
		struct node *node;
		int fd;

		snprintf(path, sizeof(path), "/shares/%d", i);
		fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
		if (fd < 0 || statx(fd, "", AT_EMPTY_PATH, SEEN_MASK, &st))
			return -1;
		node = new_node(i, &st);
		node->fd = fd;
		node->lookups = 1;
		roots++;
	}
	return 0;
}
