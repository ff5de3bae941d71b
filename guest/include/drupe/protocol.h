/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The guest protocol: what the host and the guest's init say to each other.
 *
 * A session is one connection to the container's control socket: a reliable
 * byte stream, carried by the host channel on platform um and by whatever the
 * other platforms have. Sessions are independent; each has its own flow.
 *
 * A session is a sequence of frames in both directions, all integers little
 * endian. The first frame each way is HELLO; a different magic or version
 * ends the session. A frame that breaks a rule of this file ends the session
 * (never the container): neither side trusts the other.
 *
 * The life of a session:
 *
 *	host				guest
 *	HELLO				HELLO
 *	[HOSTNAME? DOMAINNAME? MOUNT* FILE* INTERFACE* ADDRESS* ROUTE* SYSCTL* LIMIT* RESTART?
 *	 HEALTH? BOOT]
 *					READY | ERROR		first session only
 *	[ARG+ ENV* CWD? USER? GROUP* RLIMIT* CAPABILITIES? CAPABILITY_SETS?
 *	 UMASK? OOM? TERMINAL? START]
 *					STARTED | ERROR
 *	STDIN* STDIN_EOF SIGNAL* WINDOW*
 *					STDOUT* STDERR* STDIN_CREDIT*
 *	[DETACH]
 *					EXITED
 *
 * The session of a main process that was detached can be taken up by another
 * one, by ATTACH in place of START: STARTED answers it, and all goes on as from
 * there; what was written meanwhile is in the log only.
 *
 * A main process that is HELD has everything but its program: the first STARTED
 * says so, and its session may go. RELEASE, in a session of its own, has it
 * execute; that is answered with STARTED or ERROR, too.
 *
 * Or, after HELLO, one of the requests KILL, KILL_ALL, STOP, FILE_UPDATE, LIMIT, RESTART
 * (once the container is booted), which the guest answers with DONE or ERROR, or
 * STATS, which it answers with STATS.
 *
 * Flow control: the host may have at most `credit` bytes of STDIN payload
 * under way; it starts with DRUPE_STDIN_WINDOW and grows by each
 * STDIN_CREDIT. More than that breaks the protocol. So no STDIN frame can
 * ever hold up a SIGNAL or WINDOW behind it. Output is held back by the
 * transport itself.
 */
#ifndef DRUPE_PROTOCOL_H
#define DRUPE_PROTOCOL_H

#include <stdint.h>

#define DRUPE_MAGIC		0x50555244u	/* "DRUP" */
#define DRUPE_VERSION		2

/* Payload bytes of one frame: one argument of execve() at its largest. */
#define DRUPE_FRAME_MAX		131072u
/* Payload bytes of all ARG and ENV frames of one process together. */
#define DRUPE_SPEC_MAX		(2u << 20)
/* ARG, ENV, GROUP, RLIMIT and MOUNT frames, each, of one session. */
#define DRUPE_COUNT_MAX		65536u
#define DRUPE_GROUPS_MAX	1024u
#define DRUPE_MOUNTS_MAX	256u
#define DRUPE_FILES_MAX		32u
#define DRUPE_INTERFACES_MAX	8u
#define DRUPE_ADDRESSES_MAX	32u
#define DRUPE_ROUTES_MAX	64u
#define DRUPE_STDIN_WINDOW	262144u
#define DRUPE_HOSTNAME_MAX	64u
#define DRUPE_ERROR_MAX		4096u

struct drupe_frame {
	uint32_t size;		/* payload bytes that follow this header */
	uint16_t type;		/* enum drupe_type */
	uint16_t zero;
};

enum drupe_type {
	/* both ways */
	DRUPE_HELLO = 1,	/* struct drupe_hello */

	/* host to guest: the container; first session only */
	DRUPE_HOSTNAME = 16,	/* the name, no NUL */
	DRUPE_MOUNT,		/* struct drupe_mount, then its strings */
	DRUPE_BOOT,		/* empty: mount all, make the devices */
	DRUPE_INTERFACE,	/* struct drupe_interface, then its name, no NUL */
	DRUPE_ADDRESS,		/* struct drupe_address */
	DRUPE_ROUTE,		/* struct drupe_route */
	DRUPE_FILE,		/* struct drupe_file, its path with a NUL, its content */
	DRUPE_RESTART,	/* struct drupe_restart; later: instead of the former */
	DRUPE_HEALTH,		/* struct drupe_health, then arguments, a NUL after each */
	DRUPE_LIMIT,		/* struct drupe_limit; later: instead of the former */
	DRUPE_SYSCTL,		/* a path below /proc/sys, NUL, the value */
	DRUPE_DOMAINNAME,	/* the name, no NUL */

	/* host to guest: one process */
	DRUPE_ARG = 32,		/* one argument, no NUL; the first is the file */
	DRUPE_ENV,		/* one NAME=value, no NUL */
	DRUPE_CWD,		/* absolute path, no NUL */
	DRUPE_USER,		/* user[:group], names or numbers, no NUL */
	DRUPE_GROUP,		/* a supplementary group, name or number, no NUL */
	DRUPE_RLIMIT,		/* struct drupe_rlimit */
	DRUPE_TERMINAL,		/* struct drupe_window: give it a PTY */
	DRUPE_START,		/* struct drupe_start */
	DRUPE_CAPABILITIES,	/* struct drupe_capabilities */
	DRUPE_UMASK,		/* struct drupe_umask */
	DRUPE_OOM,		/* struct drupe_oom */
	DRUPE_CAPABILITY_SETS,	/* struct drupe_capability_sets */

	/* host to guest: while the process runs */
	DRUPE_STDIN = 48,	/* bytes */
	DRUPE_STDIN_EOF,	/* empty */
	DRUPE_SIGNAL,		/* struct drupe_signal: to the process */
	DRUPE_WINDOW,		/* struct drupe_window */
	DRUPE_DETACH,		/* empty: the process outlives this session */

	/* host to guest: requests of their own */
	DRUPE_KILL = 64,	/* struct drupe_signal: to the main process */
	DRUPE_STOP,		/* struct drupe_stop: orderly power-off */
	DRUPE_FILE_UPDATE,	/* as FILE: new content of one that BOOT made */
	DRUPE_STATS = 67,	/* struct drupe_stats */
	DRUPE_ATTACH = 70,	/* empty: be the main process's session */
	DRUPE_RELEASE,		/* empty: the held main process executes its program */
	DRUPE_KILL_ALL,		/* struct drupe_signal: to all processes but the init */

	/* guest to host */
	DRUPE_READY = 128,	/* empty: the container is booted */
	DRUPE_STARTED,		/* struct drupe_started */
	DRUPE_STDOUT,		/* bytes */
	DRUPE_STDERR,		/* bytes */
	DRUPE_STDIN_CREDIT,	/* struct drupe_credit */
	DRUPE_EXITED,		/* struct drupe_exited: the last frame */
	DRUPE_DONE,		/* empty: the request was carried out */
	DRUPE_ERROR,		/* struct drupe_error, then text: the last frame */
	DRUPE_FIGURES,		/* struct drupe_figures, or text: answers STATS */
};

struct drupe_hello {
	uint32_t magic;
	uint16_t version;
	uint16_t zero;
};

#define DRUPE_MOUNT_READONLY	(1u << 0)
#define DRUPE_MOUNT_OVERLAY	(1u << 1)	/* root only: a writable layer above it */
#define DRUPE_MOUNT_LAYER	(1u << 2)	/* this is that layer; without it, a tmpfs is */
#define DRUPE_MOUNT_GUARDED	(1u << 3)	/* nosuid and nodev */
#define DRUPE_MOUNT_NOEXEC	(1u << 5)
#define DRUPE_MOUNT_FILE	(1u << 4)	/* of what is mounted, only the one file in it */
#define DRUPE_MOUNT_SEED	(1u << 6)	/* if empty, it gets what is there below it */
#define DRUPE_MOUNT_MASKED	(1u << 7)	/* cannot be seen; nothing where there is nothing */
#define DRUPE_MOUNT_FROZEN	(1u << 8)	/* cannot be written; the same */
#define DRUPE_MOUNT_KNOWN	(DRUPE_MOUNT_READONLY | DRUPE_MOUNT_OVERLAY | \
				 DRUPE_MOUNT_LAYER | DRUPE_MOUNT_GUARDED | \
				 DRUPE_MOUNT_NOEXEC | DRUPE_MOUNT_FILE | DRUPE_MOUNT_SEED | \
				 DRUPE_MOUNT_MASKED | DRUPE_MOUNT_FROZEN)

/*
 * Followed by four NUL-terminated strings: file system type, source, target,
 * options. The first mount of a container has target "/"; the second one has
 * that, too, if it is the layer above a root with OVERLAY. Other targets are
 * made below the root (symbolic links are resolved inside it) as directories
 * (FILE: as files) if missing. A target holds no ".." component. A root with OVERLAY and
 * READONLY becomes read-only after all that.
 */
struct drupe_mount {
	uint32_t flags;
};

#define DRUPE_INTERFACE_NAME_MAX	15u	/* bytes of an interface's name */

/*
 * One network device of the container kernel, the index-th that the platform
 * gave it. It gets this address, this name, and comes up. Frames of one
 * container name different devices.
 */
struct drupe_interface {
	uint32_t index;
	uint32_t mtu;		/* 68..65535 */
	uint8_t mac[6];
	uint16_t zero;
};

/* An address of an interface that was named before, usable at once. */
struct drupe_address {
	uint32_t index;		/* of the interface */
	uint8_t family;		/* 4 or 6 */
	uint8_t prefix;		/* bits, at most 32 or 128 */
	uint16_t zero;
	uint8_t address[16];	/* in network order; the rest of an IPv4 one is 0 */
};

/* A route over an interface that was named before. */
struct drupe_route {
	uint32_t index;		/* of the interface */
	uint8_t family;		/* 4 or 6 */
	uint8_t prefix;		/* bits; 0: the default route */
	uint16_t zero;
	uint32_t metric;
	uint8_t target[16];
	uint8_t gateway[16];	/* all 0: none, the target is on the link */
};

/*
 * A small file that appears at an absolute path in the container, whatever
 * lies there; a link at its end is covered, not followed. Parents and file are
 * made below the root if missing; where that cannot be, on a root that is only
 * read, the file is left out. The path holds no ".." component.
 */
struct drupe_file {
	uint32_t mode;		/* permissions, at most 0777 */
};

struct drupe_rlimit {
	uint32_t resource;	/* Linux's numbers, RLIMIT_* */
	uint32_t zero;
	uint64_t soft;		/* all ones: unlimited */
	uint64_t hard;
};

/* What a process may ever have, and gets if it is root's. */
struct drupe_capabilities {
	uint64_t kept;		/* one bit each, Linux's numbers, CAP_* */
	uint32_t no_new_privs;	/* 0 or 1: execve() gives no rights */
	uint32_t zero;
};

/* The five sets of a process, one bit each, whoever its user is. */
struct drupe_capability_sets {
	uint64_t bounding;
	uint64_t effective;
	uint64_t permitted;
	uint64_t inheritable;
	uint64_t ambient;
};

struct drupe_umask {
	uint32_t mask;		/* 0..0777 */
};

/* Whom the container's kernel kills when memory runs out. */
struct drupe_oom {
	uint32_t score;		/* oom_score_adj + 1000: 0..2000 */
};

enum drupe_limit_kind {
	DRUPE_LIMIT_PIDS = 1,	/* processes and threads; 0: no limit */
	DRUPE_LIMIT_SHM,	/* bytes in /dev/shm */
};

struct drupe_limit {
	uint32_t kind;		/* enum drupe_limit_kind */
	uint32_t zero;
	uint64_t value;
};

enum drupe_restart_policy {
	DRUPE_RESTART_NO,
	DRUPE_RESTART_ON_FAILURE,	/* an exit status other than 0, a signal */
	DRUPE_RESTART_ALWAYS,
};

/*
 * Whether the main process is started again when it has ended. Its session
 * gets EXITED at the first end; later runs have none.
 */
struct drupe_restart {
	uint32_t policy;	/* enum drupe_restart_policy */
	uint32_t attempts;	/* on failure: so many at most; 0: no end */
};

/* A command beside the main process, with its user, directory, environment. */
struct drupe_health {
	uint32_t interval_ms;	/* from the end of one check to the next */
	uint32_t timeout_ms;	/* longer is a failure */
	uint32_t start_period_ms;	/* in which failures do not count */
	uint32_t start_interval_ms;	/* instead of the interval until then; 0: the same */
	uint32_t retries;	/* failures in a row that make it unhealthy */
	uint32_t zero;
};

enum drupe_stats_kind {
	DRUPE_STATS_FIGURES = 1,	/* struct drupe_figures */
	/*
	 * Text, a line for each process of these, as many as fit in a frame: PID PPID
	 * UID STATE TICKS START_TICKS RSS_PAGES COMMAND, a tick being 10 ms.
	 */
	DRUPE_STATS_PROCESSES,
};

struct drupe_stats {
	uint32_t kind;		/* enum drupe_stats_kind */
};

struct drupe_figures {
	uint64_t memory_bytes;		/* the kernel's own left out */
	uint64_t memory_used_bytes;	/* what can be had at once left out */
	uint64_t threads;		/* the init and the kernel's left out */
	uint64_t block_read_bytes;
	uint64_t block_written_bytes;
	uint64_t net_received_bytes;	/* loopback left out */
	uint64_t net_sent_bytes;
};

struct drupe_window {
	uint16_t rows;
	uint16_t columns;
};

#define DRUPE_START_MAIN	(1u << 0)	/* its end is the container's end */
#define DRUPE_START_STDIN	(1u << 1)	/* STDIN follows; else /dev/null */
#define DRUPE_START_DETACHED	(1u << 2)	/* as if DETACH came with it */
#define DRUPE_START_LOG		(1u << 3)	/* output also goes to the log file */
/*
 * No program but one of the init's own services on files, as root: its name
 * and arguments are the ARGs, see guest/files/services.h.
 */
#define DRUPE_START_HELPER	(1u << 4)
/* MAIN and DETACHED only: all is made but execve(), for which it waits. */
#define DRUPE_START_HELD	(1u << 5)
/*
 * Its streams are the host's files (enum drupe_host_file), and none of the
 * session's: three of them, or with TERMINAL one, which is a terminal, too. The
 * size of that is the process's.
 */
#define DRUPE_START_FILES	(1u << 6)
#define DRUPE_START_KNOWN	(DRUPE_START_MAIN | DRUPE_START_STDIN | \
				 DRUPE_START_DETACHED | DRUPE_START_LOG | \
				 DRUPE_START_HELPER | DRUPE_START_HELD | \
				 DRUPE_START_FILES)

struct drupe_start {
	uint32_t flags;
};

struct drupe_signal {
	uint32_t number;	/* 1..64 */
};

struct drupe_stop {
	uint32_t signal;	/* to the main process first, 1..64 */
	uint32_t grace_ms;	/* then SIGKILL */
};

struct drupe_started {
	uint32_t pid;		/* as the guest sees it */
	uint32_t zero;
};

struct drupe_credit {
	uint32_t size;		/* bytes of STDIN the host may send more */
};

struct drupe_exited {
	uint32_t code;		/* exit status, 0 if signal */
	uint32_t signal;	/* 0 if it exited by itself */
};

/* Where an ERROR came about; the command line makes exit codes of it. */
enum drupe_stage {
	DRUPE_STAGE_PROTOCOL = 1,	/* the session broke a rule */
	DRUPE_STAGE_BOOT,		/* mounts, devices, host name */
	DRUPE_STAGE_PROCESS,		/* user, directory, terminal, limits */
	DRUPE_STAGE_EXEC,		/* execve() itself: 126 or 127 */
	DRUPE_STAGE_REQUEST,		/* KILL or STOP without a main process … */
};

struct drupe_error {
	uint32_t number;	/* Linux errno, or 0 */
	uint32_t stage;		/* enum drupe_stage */
};

/*
 * The status file: what outlives the container. One line of ASCII each, the
 * last line counts:
 *
 *	created
 *	running [RESTARTS [HEALTH [OUTPUT]]]
 *	restarting CODE SIGNAL SECONDS.NANOSECONDS RESTARTS
 *	exited CODE SIGNAL SECONDS.NANOSECONDS [RESTARTS]
 *
 * Created is a container whose main process is held; its container kernel's first
 * host process exits as that process does, or with 128 + its signal. RESTARTS counts those of the main process, 0 if missing. HEALTH is starting,
 * healthy or unhealthy, missing without checks; OUTPUT is the beginning of
 * what the check that led there wrote, printable, 512 bytes at most.
 *
 * The log file holds the main process's output in the CRI format, one line
 * (or part of a line, tag P) per record:
 *
 *	2016-10-06T00:17:09.669794202Z stdout F text
 */
#define DRUPE_LOG_PART_MAX	16384u	/* bytes of text in one record */

/*
 * Host files that platform um hands to its container kernel, by their index
 * on the host channel (/dev/hostchan).
 */
enum drupe_host_file {
	DRUPE_HOST_CONTROL,	/* the listening control socket */
	DRUPE_HOST_STATUS,	/* the status file, append only */
	DRUPE_HOST_LOG,		/* the log file, append only */
	DRUPE_HOST_STDIN,	/* with START_FILES; or the terminal */
	DRUPE_HOST_STDOUT,
	DRUPE_HOST_STDERR,
};

#endif
