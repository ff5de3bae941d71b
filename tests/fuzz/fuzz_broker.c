// SPDX-License-Identifier: Apache-2.0
/*
 * Fuzzes the broker of shares: requests as a hostile kernel would write them
 * into its memory, over directories whose neighbour must never change. See
 * README.md here.
 */
#include <dirent.h>
#include <ftw.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

/* The whole broker, so that what is static in it can be looked at */
#include "broker.c"
#include "nodes.c"
#include "handles.c"

#define SHARES		2
#define MEMORY_SIZE	(1UL << 20)
#define REMEMBERED	64
#define OPCODES		56
#define PROPER		8	/* of the names below */
#define ATTRIBUTES	5	/* those at their end */
#define CHECK_EVERY	512
#define SENTINEL	"nobody may touch this"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* filter.c is left out: sanitizers need other calls. */
int broker_filter(void)
{
	return 0;
}

static char home[] = "/tmp/fuzz-broker.XXXXXX";
static struct stat outside, outside_file;

/* What the broker has told, and of which share */
struct told {
	uint64_t values[REMEMBERED];
	int shares[REMEMBERED];
	unsigned int count;
};

static struct told ids, fhs;
static unsigned int done[OPCODES];

static const char * const names[] = {
	"a", "b", "sub", "sub2", "link", "up", "pipe", "outside", "..", ".", "", "a/b", "../outside",
	"/etc/passwd", "user.x", "user.y", KEPT_NAME, "trusted.x", "security.capability",
};

/* A number after which there may be more: from the input, then zeros */
struct source {
	const uint8_t *data;
	size_t left;
};

static uint64_t number(struct source *source, unsigned int bytes)
{
	uint64_t value = 0;

	while (bytes--) {
		value = value << 8;
		if (source->left) {
			value |= *source->data++;
			source->left--;
		}
	}
	return value;
}

static void expect(int holds, const char *what)
{
	if (holds)
		return;
	fprintf(stderr, "fuzz_broker: %s\n", what);
	abort();
}

/* The broker opens its shares by these names */
int __real_open(const char *path, int flags, ...);
int __wrap_open(const char *path, int flags, ...);

int __wrap_open(const char *path, int flags, ...)
{
	char there[PATH_MAX];

	snprintf(there, sizeof(there), "%s%s", strncmp(path, "/shares/", 8) ? "" : home, path);
	return __real_open(there, flags, 0);
}

static void fill_share(int share)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "%s/shares/%d", home, share);
	expect(!mkdir(path, 0755) && !chdir(path), "no share");
	fd = open("a", O_CREAT | O_WRONLY, 0644);
	expect(fd >= 0 && write(fd, "content", 7) == 7 && !close(fd), "no file");
	expect(!mkdir("sub", 0755) && !mkdir("sub/sub2", 0755), "no directory");
	expect(!symlink("../outside", "link") && !symlink("..", "sub/up"), "no link");
	expect(!mkfifo("pipe", 0644), "no pipe");
}

static void begin(void)
{
	char path[64];
	int fd, share;

	expect(mkdtemp(home) && !chdir(home) && !mkdir("shares", 0755), "no directory");
	expect(!mkdir("shares/outside", 0755), "no directory");
	fd = open("shares/outside/a", O_CREAT | O_WRONLY, 0644);
	expect(fd >= 0 && write(fd, SENTINEL, sizeof(SENTINEL)) > 0 && !close(fd), "no file");
	for (share = 0; share < SHARES; share++)
		fill_share(share);
	snprintf(path, sizeof(path), "%s/shares/outside", home);
	expect(!stat(path, &outside) && !chdir(path) && !stat("a", &outside_file), "no sentinel");

	/* Exactly as large: what is read or written beside it is seen */
	memory_size = MEMORY_SIZE;
	memory = aligned_alloc(4096, MEMORY_SIZE);
	expect(!!memory, "no memory");
	memset(memory, 0, MEMORY_SIZE);
	area = (struct shares_area *)memory;
	pipe_fd = -1;
	expect(!nodes_init(SHARES, MEMORY_SIZE) && !slow_init(), "no broker");
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *at)
{
	return remove(path) && errno != ENOENT ? -1 : 0;
}

static void end(void)
{
	expect(!chdir("/"), "no root");
	nftw(home, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

static int same(const struct stat *one, const struct stat *other)
{
	return one->st_ino == other->st_ino && one->st_mode == other->st_mode &&
	       one->st_nlink == other->st_nlink && one->st_uid == other->st_uid &&
	       one->st_size == other->st_size && !memcmp(&one->st_mtim, &other->st_mtim,
							   sizeof(one->st_mtim)) &&
	       !memcmp(&one->st_ctim, &other->st_ctim, sizeof(one->st_ctim));
}

static void check_outside(void)
{
	char path[64];
	struct stat st;

	snprintf(path, sizeof(path), "%s/shares/outside", home);
	expect(!stat(path, &st) && same(&st, &outside), "the directory outside was changed");
	snprintf(path, sizeof(path), "%s/shares/outside/a", home);
	expect(!stat(path, &st) && same(&st, &outside_file), "the file outside was changed");
}

/* What the broker counts is what is there */
static void check_nodes(void)
{
	uint32_t *children = calloc(node_top, sizeof(*children));
	uint32_t *opens = calloc(node_top, sizeof(*opens));
	uint32_t i, index, directories = 0;

	expect(children && opens, "no memory");
	for (i = ROOT_FIRST; i < node_top; i++)
		if (nodes[i].share != NO_SHARE && nodes[i].parent)
			children[nodes[i].parent]++;
	for (i = 1; i < top; i++) {
		if (handles[i].fd < 0)
			continue;
		expect(handles[i].node < node_top, "a handle of nothing");
		expect(fcntl(handles[i].fd, F_GETFD) >= 0, "a handle that is closed");
		opens[handles[i].node]++;
	}
	for (i = ROOT_FIRST; i < node_top; i++) {
		struct node *node = &nodes[i];

		if (node->share == NO_SHARE) {
			expect(!children[i] && !opens[i], "a free node is used");
			continue;
		}
		expect(node->share < SHARES, "a node of no share");
		expect(node->children == children[i], "children are not counted right");
		expect(node->opens == opens[i], "handles are not counted right");
		expect(!node->parent || nodes[node->parent].share == node->share,
		       "a file in a directory of another share");
		directories += node->fd >= 0 && i >= ROOT_FIRST + roots;
		for (index = *chain(node->share, node->dev, node->ino); index && index != i;)
			index = nodes[index].next;
		expect(index == i, "a node that cannot be found");
	}
	expect(directories == open_directories, "open directories are not counted right");
	free(children);
	free(opens);
}

static void note(struct told *told, uint64_t value, int share)
{
	unsigned int place = told->count++ % REMEMBERED;

	told->values[place] = value;
	told->shares[place] = share;
}

/* One of the same share, mostly */
static uint64_t some(struct source *source, const struct told *told, int share)
{
	unsigned int which = number(source, 1), i, place = 0;

	if (which >= 240)
		return which < 248 ? number(source, 1) : number(source, 8);
	if (!told->count)
		return FUSE_ROOT_ID;
	for (i = 0; i < REMEMBERED; i++) {
		place = (which + i) % (told->count < REMEMBERED ? told->count : REMEMBERED);
		if (told->shares[place] == share)
			break;
	}
	return told->values[place];
}

static uint64_t some_id(struct source *source, const struct shares_slot *slot)
{
	return number(source, 1) < 80 ? FUSE_ROOT_ID : some(source, &ids, slot->share);
}

static uint64_t some_fh(struct source *source, const struct shares_slot *slot)
{
	return some(source, &fhs, slot->share);
}

static uint64_t some_offset(struct source *source)
{
	unsigned int which = number(source, 1);

	return which < 128 ? number(source, 1) : which < 224 ? number(source, 2) :
	       number(source, 8);
}

static size_t add(struct shares_slot *slot, size_t at, const void *data, size_t size)
{
	if (at + size > sizeof(slot->data))
		return at;
	memcpy(slot->data + at, data, size);
	return at + size;
}

static size_t add_name(struct shares_slot *slot, size_t at, struct source *source)
{
	unsigned int which = number(source, 1);
	char name[300];

	if (which < 224) {
		which %= which < 170 ? PROPER : ARRAY_SIZE(names);
		return add(slot, at, names[which], strlen(names[which]) + (number(source, 1) != 7));
	}
	memset(name, 'a' + which % 4, sizeof(name));
	return add(slot, at, name, number(source, 1) + (which & 1) * 30) + 1;
}

static size_t add_attribute(struct shares_slot *slot, size_t at, struct source *source)
{
	const char *name = names[ARRAY_SIZE(names) - 1 - number(source, 1) % ATTRIBUTES];

	return add(slot, at, name, strlen(name) + 1);
}

/* Arguments that fit an operation, as far as the broker looks at them */
static size_t add_arguments(struct shares_slot *slot, struct source *source)
{
	union {
		struct fuse_setattr_in setattr;
		struct fuse_getattr_in getattr;
		struct fuse_create_in create;
		struct fuse_open_in open;
		struct fuse_read_in read;
		struct fuse_lk_in lock;
		struct fuse_copy_file_range_in copy;
		struct fuse_rename2_in rename;
		struct fuse_link_in link;
		struct fuse_mknod_in mknod;
		struct fuse_getxattr_in xattr;
		struct fuse_forget_in forget;
		struct fuse_fallocate_in fallocate;
		struct fuse_lseek_in lseek;
		uint8_t bytes[128];
	} in;
	size_t i;

	for (i = 0; i < sizeof(in); i++)
		in.bytes[i] = number(source, 1) & 0x17;
	switch (slot->header.opcode) {
	case FUSE_LOOKUP:
	case FUSE_UNLINK:
	case FUSE_RMDIR:
		return add_name(slot, 0, source);
	case FUSE_REMOVEXATTR:
		return add_attribute(slot, 0, source);
	case FUSE_SYMLINK:
		return add_name(slot, add_name(slot, 0, source), source);
	case FUSE_GETATTR:
		in.getattr.fh = some_fh(source, slot);
		return add(slot, 0, &in, sizeof(in.getattr));
	case FUSE_SETATTR:
		in.setattr.fh = some_fh(source, slot);
		in.setattr.valid = number(source, 2);
		in.setattr.size = some_offset(source);
		return add(slot, 0, &in, sizeof(in.setattr));
	case FUSE_MKNOD:
		in.mknod.mode = number(source, 2);
		return add_name(slot, add(slot, 0, &in, sizeof(in.mknod)), source);
	case FUSE_MKDIR:
		return add_name(slot, add(slot, 0, &in, sizeof(struct fuse_mkdir_in)), source);
	case FUSE_LINK:
		in.link.oldnodeid = some_id(source, slot);
		return add_name(slot, add(slot, 0, &in, sizeof(in.link)), source);
	case FUSE_RENAME:
		in.rename.newdir = some_id(source, slot);
		i = add(slot, 0, &in, sizeof(struct fuse_rename_in));
		return add_name(slot, add_name(slot, i, source), source);
	case FUSE_RENAME2:
		in.rename.newdir = some_id(source, slot);
		in.rename.flags = number(source, 1) & 7;
		i = add(slot, 0, &in, sizeof(in.rename));
		return add_name(slot, add_name(slot, i, source), source);
	case FUSE_CREATE:
		in.create.flags = number(source, 2);
		in.create.mode = number(source, 2);
		return add_name(slot, add(slot, 0, &in, sizeof(in.create)), source);
	case FUSE_OPEN:
	case FUSE_OPENDIR:
		in.open.flags = number(source, 2);
		return add(slot, 0, &in, sizeof(in.open));
	case FUSE_READ:
	case FUSE_WRITE:
	case FUSE_READDIR:
	case FUSE_READDIRPLUS:
		in.read.fh = some_fh(source, slot);
		in.read.offset = some_offset(source);
		in.read.size = slot->in_segments ? slot->segments[0].len : 0;
		return add(slot, 0, &in, sizeof(struct fuse_write_in));
	case FUSE_SETLK:
	case FUSE_GETLK:
		in.lock.fh = some_fh(source, slot);
		in.lock.lk.start = some_offset(source);
		in.lock.lk.end = in.lock.lk.start + some_offset(source);
		in.lock.lk.type = number(source, 1) & 3;
		return add(slot, 0, &in, sizeof(in.lock));
	case FUSE_COPY_FILE_RANGE:
		in.copy.fh_in = some_fh(source, slot);
		in.copy.fh_out = some_fh(source, slot);
		in.copy.off_out = some_offset(source) & 0xfffff;
		in.copy.len = some_offset(source);
		return add(slot, 0, &in, sizeof(in.copy));
	case FUSE_GETXATTR:
	case FUSE_SETXATTR:
	case FUSE_LISTXATTR:
		in.xattr.size = some_offset(source);
		in.xattr.padding = number(source, 1) & 3;
		i = add_attribute(slot, add(slot, 0, &in, sizeof(in.xattr)), source);
		return add(slot, i, &in, sizeof(in));
	case FUSE_FORGET:
		in.forget.nlookup = some_offset(source);
		return add(slot, 0, &in, sizeof(in.forget));
	case FUSE_FALLOCATE:
		in.fallocate.fh = some_fh(source, slot);
		in.fallocate.offset = some_offset(source) & 0xfffff;
		in.fallocate.length = some_offset(source) & 0xfffff;
		return add(slot, 0, &in, sizeof(in.fallocate));
	case FUSE_LSEEK:
		in.lseek.offset = some_offset(source);
		/* fallthrough */
	default:
		in.read.fh = some_fh(source, slot);
		return add(slot, 0, &in, sizeof(in));
	}
}

static void note_answer(const struct shares_slot *slot)
{
	const struct fuse_entry_out *entry = (const void *)slot->data;
	const struct fuse_open_out *opened = (const void *)slot->data;

	switch (slot->header.opcode) {
	case FUSE_CREATE:
		if (slot->out_room >= sizeof(*entry) + sizeof(*opened))
			note(&fhs, ((const struct fuse_open_out *)(entry + 1))->fh, slot->share);
		/* fallthrough */
	case FUSE_LOOKUP:
	case FUSE_MKNOD:
	case FUSE_MKDIR:
	case FUSE_SYMLINK:
	case FUSE_LINK:
		if (slot->out_room >= sizeof(*entry) && entry->nodeid)
			note(&ids, entry->nodeid, slot->share);
		break;
	case FUSE_OPEN:
	case FUSE_OPENDIR:
		if (slot->out_room >= sizeof(*opened))
			note(&fhs, opened->fh, slot->share);
	}
}

/* What forgets and closes is rarer, or there would be nothing left */
static unsigned int some_opcode(struct source *source)
{
	unsigned int opcode = number(source, 1) % OPCODES, again = number(source, 1);

	if (opcode == FUSE_FORGET || opcode == FUSE_BATCH_FORGET)
		return again % 8 ? FUSE_LOOKUP : opcode;
	if (opcode == FUSE_RELEASE || opcode == FUSE_RELEASEDIR)
		return again % 8 ? FUSE_OPEN : opcode;
	return opcode;
}

static void one_request(struct source *source)
{
	struct shares_slot *slot = &area->slots[number(source, 1) % SHARES_SLOTS];
	unsigned int odd = number(source, 1), i;

	slot->share = odd < 250 ? odd % SHARES : (int)number(source, 4);
	slot->header = (struct fuse_in_header){
		.opcode = some_opcode(source),
		.nodeid = some_id(source, slot),
		.uid = number(source, 1) & 1,
	};
	slot->in_segments = odd & 8 ? number(source, 1) % 4 : 0;
	slot->out_segments = odd & 16 ? number(source, 1) % 4 : 0;
	slot->out_room = odd & 32 ? number(source, 2) % (SHARES_INLINE + 9) : odd & 64 ? 0 : sizeof(slot->data);
	for (i = 0; i < slot->in_segments + slot->out_segments; i++) {
		slot->segments[i].offset = number(source, 2) << 4;
		slot->segments[i].len = number(source, 2) & 0x7fff;
		if (number(source, 1) > 250)
			slot->segments[i].offset = number(source, 8);
	}
	slot->in_len = add_arguments(slot, source);
	if (odd == 249)
		slot->in_len = number(source, 2);
	else if (odd == 248)
		slot->in_segments = number(source, 1);
	else if (odd == 247)
		slot->out_segments = number(source, 4);
	slot->tell = SHARES_LOOKS;
	__atomic_store_n(&slot->state, SHARES_ASKED, __ATOMIC_SEQ_CST);
	serve_one(slot);
	while (__atomic_load_n(&slot->state, __ATOMIC_SEQ_CST) == SHARES_TAKEN)
		__builtin_ia32_pause();
	if (!slot->error)
		done[slot->header.opcode % OPCODES]++;
	if (!slot->error)
		note_answer(slot);
}

static void check(void)
{
	check_outside();
	check_nodes();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct source source = { data, size };
	static unsigned int asked;

	if (!memory) {
		begin();
		atexit(end);
	}
	while (source.left) {
		one_request(&source);
		if (!(++asked % CHECK_EVERY))
			check();
	}
	return 0;
}

#ifdef STANDALONE
/* Writes over requests while they are served. */
static void *disturb(void *argument)
{
	unsigned int seed = *(unsigned int *)argument;

	for (;;) {
		uint32_t *words = (uint32_t *)area->slots[rand_r(&seed) % SHARES_SLOTS].segments;
		uint32_t at = rand_r(&seed) % 1300;

		/* Not a state: who waits for that would wait for ever. */
		words[at - (at < 1200 ? 0 : 10)] = rand_r(&seed);
	}
	return NULL;
}

/* fuzz_broker SEED REQUESTS [race]; or FILE, of input */
int main(int argc, char **argv)
{
	static uint8_t data[1 << 16];
	unsigned int seed = argc > 2 ? atoi(argv[1]) : 0;
	long left = argc > 2 ? atol(argv[2]) : 1;
	pthread_t thread;
	size_t i;

	if (argc < 3) {
		FILE *file = argc > 1 ? fopen(argv[1], "rb") : stdin;

		return LLVMFuzzerTestOneInput(data, file ? fread(data, 1, sizeof(data), file) : 0);
	}
	begin();
	atexit(end);
	if (argc > 3 && pthread_create(&thread, NULL, disturb, &seed))
		return 1;
	while (left > 0) {
		struct source source = { data, 512 };

		for (i = 0; i < 512; i++)
			data[i] = rand_r(&seed);
		one_request(&source);
		if (!(left-- % CHECK_EVERY))
			check();
	}
	check();
	for (i = 0; i < OPCODES; i++)
		if (done[i])
			printf("%zu:%u ", i, done[i]);
	printf("done\n");
	return 0;
}
#endif
