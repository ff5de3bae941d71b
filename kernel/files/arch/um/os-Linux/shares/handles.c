// SPDX-License-Identifier: GPL-2.0-only
/* The files and directories that the guest has open. */
#include "broker.h"

#define MOST_HANDLES	(1U << 16)

static struct handle *handles;
static uint32_t top = 1, first_free;

/**
 * handles_init() - makes room for them
 *
 * Returns: 0, or -1 and errno.
 */
int handles_init(void)
{
	handles = nodes_reserve(MOST_HANDLES * sizeof(*handles));
	return handles ? 0 : -1;
}

/**
 * node_descriptor() - where a file is open
 *
 * Returns: a descriptor, with whatever rights, or -1.
 */
int node_descriptor(struct node *node)
{
	struct handle *handle = &handles[node->handle];

	if (!node->opens)
		return -1;
	/* The one that was noted may be closed; others are still there */
	if (handle->fd < 0 || handle->node != node_index(node))
		for (handle = handles + 1; handle->fd < 0 || handle->node != node_index(node);)
			handle++;
	node->handle = handle - handles;
	return handle->fd;
}

/**
 * handle_new() - a file was opened for the guest
 *
 * Returns: NULL if there are too many; the descriptor is closed then.
 */
struct handle *handle_new(struct node *node, int fd, int writes)
{
	uint32_t index = first_free;
	struct handle *handle;

	if (index) {
		first_free = handles[index].next;
	} else if (top < MOST_HANDLES) {
		index = top++;
	} else {
		close(fd);
		return NULL;
	}
	handle = &handles[index];
	handle->fd = fd;
	handle->generation++;
	handle->node = node_index(node);
	handle->writes = writes;
	node->opens++;
	node->handle = index;
	return handle;
}

uint64_t handle_id(const struct handle *handle)
{
	return (handle - handles) | (uint64_t)handle->generation << 32;
}

/**
 * handle_find() - the open file that the guest means
 */
struct handle *handle_find(const struct request *request, uint64_t fh)
{
	uint32_t index = fh, generation = fh >> 32;

	if (!index || index >= top || handles[index].fd < 0 ||
	    handles[index].generation != generation ||
	    node_at(handles[index].node)->share != request->share)
		return NULL;
	return &handles[index];
}

struct node *handle_node(const struct handle *handle)
{
	return node_at(handle->node);
}

void handle_free(struct handle *handle)
{
	struct node *node = node_at(handle->node);

	close(handle->fd);
	handle->fd = -1;
	handle->next = first_free;
	first_free = handle - handles;
	if (!--node->opens)
		locks_end(node);
	node_release(node);
}
