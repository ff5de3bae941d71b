/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The broker of shares: its parts. All that it is asked is hostile: numbers
 * are checked, and each word is read from shared memory once.
 */
#ifndef __UM_SHARES_BROKER_H
#define __UM_SHARES_BROKER_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <shares.h>

#ifndef ARRAY_SIZE
#define ARRAY_SIZE(array)	(sizeof(array) / sizeof((array)[0]))
#endif

#define BROKER_SPIN_CYCLES	150000UL	/* some 50 us */
#define BROKER_BUFFER_SIZE	(128 << 10)	/* extended attributes, listings */

/* How long the guest may believe what it was told; that there is no such name: ns */
#define BROKER_VALID_S		1
#define BROKER_NO_NAME_NS	100000000U

struct broker_start {
	int memory_fd;
	int pipe_fd;
	int shares;
	unsigned long memory_size;
	unsigned long area_offset;
	unsigned long unwanted, unwanted_end;
};

static inline unsigned long broker_cycles(void)
{
	return __builtin_ia32_rdtsc();
}

/* broker.c */

/*
 * A request, as it was when it was read.
 *
 * @slot: where it is answered
 * @in: arguments, @in_len bytes, followed by a NUL
 * @pages: what follows them: @in_pages of segments; then those of the answer
 * @room: how long the answer may be, in all
 * @out: the first @out_room bytes of it, to be written only
 * @out_len: bytes of the answer
 */
struct request {
	struct shares_slot *slot;
	unsigned int share;
	struct fuse_in_header header;
	unsigned int in_len;
	char in[SHARES_INLINE + 1] __attribute__((aligned(8)));
	struct iovec pages[SHARES_SEGMENTS];
	unsigned int in_pages, out_pages;
	size_t in_pages_len;
	size_t room;
	char *out;
	size_t out_room;
	size_t out_len;
};

int broker_main(void *start);
int broker_answer(struct request *request, const void *data, size_t len);
void broker_finish(struct shares_slot *slot, int error, size_t len);
extern char broker_buffer[BROKER_BUFFER_SIZE];

/* slow.c */
#define BROKER_LATER	1	/* in place of an error: the answer comes by itself */

/*
 * A call of the host that may take long.
 *
 * @arguments: of copy_file_range(), the offsets themselves
 */
struct slow_call {
	long number;
	long arguments[5];
};

int slow_init(void);
int slow(struct request *request, const struct slow_call *call);

/* filter.c */
int broker_filter(void);

/* nodes.c */

#define NODE_NAME		40

/*
 * A file of a share that the guest knows.
 *
 * @lookups: how many of the guest's references there are
 * @generation: tells users of this place apart; never 0
 * @parent, @name: where it was seen last; the name may be out of date
 * @children: how many have this one as @parent
 * @fd: of a directory: where it is open, or -1
 * @lock_fd: of a file: where it is open to be locked, or negative
 * @opens: how many handles there are; @handle is one of them
 * @mode: type and permissions as the guest knows them
 * @written_*: when the guest has last seen its data
 */
struct node {
	uint64_t dev, ino;
	int64_t born;
	uint64_t lookups;
	uint32_t generation;
	uint32_t share;
	uint32_t parent;
	uint32_t children;
	uint32_t next;
	uint32_t opens;
	uint32_t handle;
	uint32_t mode, uid, gid;
	int fd, lock_fd;
	int64_t seen_mtime, seen_ctime;
	uint64_t seen_size;
	uint32_t long_name;
	char name[NODE_NAME];
};

/*
 * An open file or directory.
 *
 * @node: of which file
 * @writes: opened for writing
 */
struct handle {
	int fd;
	uint32_t generation;
	uint32_t node;
	uint32_t next;
	int writes;
};

int nodes_init(int shares, unsigned long memory_size);
struct node *node_find(const struct request *request, uint64_t id);
struct node *node_get(struct node *parent, const char *name, const struct statx *st);
void node_forget(struct node *node, uint64_t count);
void node_moved(struct node *parent, const char *name);
uint64_t node_id(const struct node *node);
int node_is(const struct node *node, const struct statx *st);
int node_fd(struct node *directory);
int node_enter(struct node *directory);
const char *node_place(struct node *node, int *err);
const char *node_reach(struct node *node, struct statx *st, int *err);
uint32_t node_index(const struct node *node);
struct node *node_at(uint32_t index);
void node_release(struct node *node);
void *nodes_reserve(size_t size);

/* handles.c */
int handles_init(void);
int node_descriptor(struct node *node);
struct handle *handle_new(struct node *node, int fd, int writes);
struct handle *handle_find(const struct request *request, uint64_t fh);
uint64_t handle_id(const struct handle *handle);
void handle_free(struct handle *handle);
struct node *handle_node(const struct handle *handle);

/* records.c */

/*
 * What the guest sees of a file.
 *
 * @st: what the host says
 * @kept: there is a record of what the host cannot hold
 */
struct seen {
	struct statx st;
	int kept;
	uint32_t mode, uid, gid, rdev;
};

int can_have_record(const struct seen *seen);
void see_host(struct seen *seen);
void see_name_record(const char *name, struct seen *seen);
int see_name(const char *name, struct seen *seen);
int see_descriptor(int fd, struct seen *seen);
int keep_new(const struct request *request, struct node *parent, const char *name, int fd,
	     uint32_t mode, uint32_t rdev, struct seen *seen);
int keep(int fd, struct seen *seen, uint32_t mode, uint32_t uid, uint32_t gid);
uint32_t host_mode(uint32_t mode);
uint32_t without_set_id(uint32_t mode);
int open_own(const char *name, int flags);

#define KEPT_NAME	"user.containers.override_stat"
#define SEEN_MASK	(STATX_BASIC_STATS | STATX_BTIME)

/* attributes.c */
int see_node(struct node *node, struct handle *handle, struct seen *seen);
void fill_attributes(const struct node *root, const struct seen *seen, struct fuse_attr *attr);
int do_getattr(struct request *request);
int do_setattr(struct request *request);

/* names.c */
int name_at(const struct request *request, size_t offset, const char **name, size_t *end);
int answer_entry(struct request *request, struct node *parent, const char *name,
		 const struct seen *seen, struct fuse_entry_out *entry);
int do_lookup(struct request *request);
int do_forget(struct request *request);
int do_batch_forget(struct request *request);
int do_mknod(struct request *request);
int do_mkdir(struct request *request);
int do_symlink(struct request *request);
int do_link(struct request *request);
int do_unlink(struct request *request);
int do_rmdir(struct request *request);
int do_rename(struct request *request);
int do_rename2(struct request *request);
int do_readlink(struct request *request);

/* data.c */
int do_open(struct request *request);
int do_create(struct request *request);
int do_read(struct request *request);
int do_write(struct request *request);
int do_release(struct request *request);
int do_fsync(struct request *request);
int do_fallocate(struct request *request);
int do_lseek(struct request *request);
int do_copy_file_range(struct request *request);
int do_statfs(struct request *request);

/* directory.c */
int do_opendir(struct request *request);
int do_readdir(struct request *request);
int do_readdirplus(struct request *request);

/* locks.c */
void locks_end(struct node *node);
int do_setlk(struct request *request);
int do_getlk(struct request *request);

/* xattrs.c */
int do_getxattr(struct request *request);
int do_setxattr(struct request *request);
int do_listxattr(struct request *request);
int do_removexattr(struct request *request);

/* An argument structure, or NULL where the request is too short for it */
#define ARGUMENT(request, type) \
	((request)->in_len < sizeof(type) ? NULL : (const type *)(request)->in)

#endif
