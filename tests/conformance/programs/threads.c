// SPDX-License-Identifier: Apache-2.0
/* Threads: making and joining, cancellation, futexes of all kinds, exec and exit under way. */
#define _GNU_SOURCE
#include "check.h"

#include <fcntl.h>
#include <linux/futex.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <semaphore.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>

static void *nothing(void *argument)
{
	return argument;
}

CASE(fifty_thousand_threads)
{
	long rounds = count_of("THREADS", 50000);
	pthread_t thread;
	void *result;
	long i;

	for (i = 0; i < rounds; i++) {
		CHECK(!pthread_create(&thread, NULL, nothing, (void *)i));
		CHECK(!pthread_join(thread, &result));
		CHECK_EQ((long)result, i);
	}
}

static pthread_barrier_t gate;

static void *wait_at_gate(void *argument)
{
	pthread_barrier_wait(&gate);
	return argument;
}

CASE(five_hundred_at_once)
{
	static pthread_t threads[500];
	pthread_attr_t attributes;
	int i, round;

	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, 64 * 1024);
	for (round = 0; round < 3; round++) {
		CHECK(!pthread_barrier_init(&gate, NULL, 501));
		for (i = 0; i < 500; i++)
			CHECK(!pthread_create(&threads[i], &attributes, wait_at_gate, NULL));
		pthread_barrier_wait(&gate);
		for (i = 0; i < 500; i++)
			CHECK(!pthread_join(threads[i], NULL));
	}
}

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static long counter, turns;

static void *add_many(void *argument)
{
	long i;

	(void)argument;
	for (i = 0; i < 100000; i++) {
		pthread_mutex_lock(&lock);
		counter++;
		pthread_mutex_unlock(&lock);
		if (i % 1000 == 0)
			sched_yield();
	}
	return NULL;
}

CASE(mutexes)
{
	pthread_t threads[8];
	int i;

	for (i = 0; i < 8; i++)
		CHECK(!pthread_create(&threads[i], NULL, add_many, NULL));
	for (i = 0; i < 8; i++)
		pthread_join(threads[i], NULL);
	CHECK_EQ(counter, 800000);
}

static void *take_turns(void *argument)
{
	long mine = (long)argument;

	pthread_mutex_lock(&lock);
	while (turns < 20000) {
		if (turns % 4 == mine) {
			turns++;
			pthread_cond_broadcast(&changed);
		} else {
			pthread_cond_wait(&changed, &lock);
		}
	}
	pthread_mutex_unlock(&lock);
	return NULL;
}

CASE(condition_variables)
{
	pthread_t threads[4];
	long i;

	for (i = 0; i < 4; i++)
		CHECK(!pthread_create(&threads[i], NULL, take_turns, (void *)i));
	for (i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	CHECK_EQ(turns, 20000);
}

CASE(timed_waits)
{
	struct timespec until;
	int64_t begin = now_ns();

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_nsec += 50000000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_nsec -= 1000000000;
		until.tv_sec++;
	}
	pthread_mutex_lock(&lock);
	CHECK_EQ(pthread_cond_timedwait(&changed, &lock, &until), ETIMEDOUT);
	CHECK_EQ(pthread_mutex_timedlock(&lock, &until), ETIMEDOUT);
	CHECK(now_ns() - begin >= 49000000);
}

static __thread long own = 5;
static __thread char own_much[20000];

static void *use_own(void *argument)
{
	long i;

	CHECK_EQ(own, 5);
	for (i = 0; i < 20000; i++)
		CHECK_EQ(own_much[i], 0);
	memset(own_much, (int)(long)argument, sizeof(own_much));
	own = (long)argument;
	for (i = 0; i < 200; i++) {
		sched_yield();
		CHECK_EQ(own, (long)argument);
		CHECK_EQ(own_much[i * 100], (char)(long)argument);
	}
	return NULL;
}

CASE(thread_local_storage)
{
	pthread_t threads[16];
	long i;

	for (i = 0; i < 16; i++)
		CHECK(!pthread_create(&threads[i], NULL, use_own, (void *)(i + 1)));
	for (i = 0; i < 16; i++)
		pthread_join(threads[i], NULL);
	CHECK_EQ(own, 5);
}

/* --- Cancellation --- */

static volatile int cleaned, blocked_fd = -1, other_fd = -1;
static sem_t never;

static void clean(void *argument)
{
	(void)argument;
	cleaned++;
}

static void block_read(void)
{
	char byte;

	(void)!read(blocked_fd, &byte, 1);
}

static void block_readv(void)
{
	char byte;
	struct iovec vector = { &byte, 1 };

	(void)!readv(blocked_fd, &vector, 1);
}

static void block_write(void)
{
	static char much[1 << 16];

	for (;;)
		(void)!write(other_fd, much, sizeof(much));
}

static void block_nanosleep(void)
{
	struct timespec asked = { 1000, 0 };

	nanosleep(&asked, NULL);
}

static void block_clock_nanosleep(void)
{
	struct timespec asked = { 1000, 0 };

	clock_nanosleep(CLOCK_MONOTONIC, 0, &asked, NULL);
}

static void block_poll(void)
{
	struct pollfd entry = { .fd = blocked_fd, .events = POLLIN };

	poll(&entry, 1, -1);
}

static void block_select(void)
{
	fd_set set;

	FD_ZERO(&set);
	FD_SET(blocked_fd, &set);
	select(blocked_fd + 1, &set, NULL, NULL, NULL);
}

static void block_epoll(void)
{
	struct epoll_event event;

	epoll_wait(epoll_create1(0), &event, 1, -1);
}

static void block_pause(void)
{
	pause();
}

static void block_sem(void)
{
	sem_wait(&never);
}

static void unlock(void *mutex)
{
	pthread_mutex_unlock(mutex);
}

static void block_cond(void)
{
	pthread_mutex_lock(&lock);
	pthread_cleanup_push(unlock, &lock);
	for (;;)
		pthread_cond_wait(&changed, &lock);
	pthread_cleanup_pop(1);
}

static void block_accept(void)
{
	struct sockaddr address = { .sa_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	CHECK(!bind(fd, &address, sizeof(address.sa_family)));
	CHECK(!listen(fd, 1));
	accept(fd, NULL, NULL);
}

static void block_recv(void)
{
	int fds[2];
	char byte;

	CHECK(!socketpair(AF_UNIX, SOCK_STREAM, 0, fds));
	recv(fds[0], &byte, 1, 0);
}

static void block_wait(void)
{
	pid_t child = fork();

	if (!child) {
		sleep(5);
		_exit(0);
	}
	waitpid(child, NULL, 0);
}

static void block_sigwait(void)
{
	sigset_t set;
	int number;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	sigwait(&set, &number);
}

static void block_join(void)
{
	pthread_t thread;

	pthread_create(&thread, NULL, (void *(*)(void *))block_pause, NULL);
	pthread_join(thread, NULL);
}

static void block_testcancel(void)
{
	for (;;)
		pthread_testcancel();
}

static void block_computing(void)
{
	pthread_setcanceltype(PTHREAD_CANCEL_ASYNCHRONOUS, NULL);
	for (;;)
		__asm__ volatile("");
}

struct blocker {
	const char *name;
	void (*block)(void);
};

static const struct blocker blockers[] = {
	{ "read", block_read },		    { "readv", block_readv },
	{ "write", block_write },	    { "nanosleep", block_nanosleep },
	{ "poll", block_poll },		    { "select", block_select },
	{ "epoll_wait", block_epoll },	    { "pause", block_pause },
	{ "sem_wait", block_sem },	    { "pthread_cond_wait", block_cond },
	{ "accept", block_accept },	    { "recv", block_recv },
	{ "waitpid", block_wait },	    { "sigwait", block_sigwait },
	{ "pthread_join", block_join },	    { "pthread_testcancel", block_testcancel },
	{ "computing", block_computing },   { "clock_nanosleep", block_clock_nanosleep },
};

static void *be_cancelled(void *argument)
{
	const struct blocker *blocker = argument;

	pthread_cleanup_push(clean, NULL);
	blocker->block();
	pthread_cleanup_pop(0);
	return NULL;
}

static void cancel_all(long delay_ms, int rounds)
{
	size_t i;
	int fds[2], round;

	CHECK(!pipe(fds));
	blocked_fd = fds[0];
	CHECK(!pipe(fds));
	other_fd = fds[1];
	sem_init(&never, 0, 0);
	for (round = 0; round < rounds; round++) {
		for (i = 0; i < sizeof(blockers) / sizeof(*blockers); i++) {
			pthread_t thread;
			void *result;

			cleaned = 0;
			CHECK(!pthread_create(&thread, NULL, be_cancelled, (void *)&blockers[i]));
			if (delay_ms)
				sleep_ms(delay_ms);
			CHECK(!pthread_cancel(thread));
			CHECK(!pthread_join(thread, &result));
			if (result != PTHREAD_CANCELED || (delay_ms && cleaned != 1))
				fail("%s: not cancelled, or not cleaned up", blockers[i].name);
		}
	}
}

CASE(cancellation_while_blocked) { cancel_all(20, 2); }
CASE(cancellation_at_once) { cancel_all(0, 20); }

/* --- Ends --- */

static void *spin(void *argument)
{
	(void)argument;
	for (;;)
		getppid();
	return NULL;
}

CASE(exit_while_threads_run)
{
	int i, k, status;

	for (i = 0; i < 30; i++) {
		pid_t child = fork();

		if (!child) {
			pthread_t thread;

			for (k = 0; k < 8; k++)
				CHECK(!pthread_create(&thread, NULL, k % 2 ? spin :
						      (void *(*)(void *))block_pause, NULL));
			if (i % 2)
				sleep_ms(2);
			_exit(33);
		}
		CHECK_EQ(waitpid(child, &status, 0), child);
		CHECK(WIFEXITED(status));
		CHECK_EQ(WEXITSTATUS(status), 33);
	}
}

static void *exec_true(void *argument)
{
	(void)argument;
	execl("/bin/sh", "sh", "-c", "exit 44", NULL);
	_exit(1);
}

CASE(exec_while_threads_run)
{
	int i, k, status;

	for (i = 0; i < 20; i++) {
		pid_t child = fork();

		if (!child) {
			pthread_t thread;

			for (k = 0; k < 4; k++)
				CHECK(!pthread_create(&thread, NULL, spin, NULL));
			CHECK(!pthread_create(&thread, NULL, exec_true, NULL));
			for (;;)
				pause();
		}
		CHECK_EQ(waitpid(child, &status, 0), child);
		CHECK(WIFEXITED(status));
		CHECK_EQ(WEXITSTATUS(status), 44);
	}
}

static void *outlive(void *argument)
{
	(void)argument;
	sleep_ms(50);
	_exit(55);
}

CASE(main_thread_ends_first)
{
	pid_t child = fork();
	int status;

	if (!child) {
		pthread_t thread;

		CHECK(!pthread_create(&thread, NULL, outlive, NULL));
		pthread_exit(NULL);
	}
	CHECK_EQ(waitpid(child, &status, 0), child);
	CHECK_EQ(WEXITSTATUS(status), 55);
}

CASE(kill_while_threads_run)
{
	int i, k;

	for (i = 0; i < 20; i++) {
		pid_t child = fork();

		if (!child) {
			pthread_t thread;

			for (k = 0; k < 8; k++)
				CHECK(!pthread_create(&thread, NULL, spin, NULL));
			for (;;)
				pause();
		}
		sleep_ms(i % 10);
		kill(child, SIGKILL);
		join_killed(child, SIGKILL);
	}
}

static void *fork_often(void *argument)
{
	int i;

	(void)argument;
	for (i = 0; i < 50; i++) {
		pid_t child = fork();

		if (!child) {
			free(malloc(1000));
			_exit(0);
		}
		join_child(child);
	}
	return NULL;
}

CASE(fork_in_threads)
{
	pthread_t threads[6];
	int i;

	for (i = 0; i < 6; i++)
		CHECK(!pthread_create(&threads[i], NULL, fork_often, NULL));
	for (i = 0; i < 6; i++)
		pthread_join(threads[i], NULL);
}

static void *map_often(void *argument)
{
	long mine = (long)argument;
	int i;

	for (i = 0; i < 500; i++) {
		size_t length = 4096 * (1 + (i + mine) % 7);
		long *area = mmap(NULL, length, PROT_READ | PROT_WRITE,
				  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		size_t k;

		CHECK(area != MAP_FAILED);
		for (k = 0; k < length / 8; k += 64) {
			CHECK_EQ(area[k], 0);
			area[k] = mine * 1000 + i;
		}
		sched_yield();
		for (k = 0; k < length / 8; k += 64)
			CHECK_EQ(area[k], mine * 1000 + i);
		CHECK(!munmap(area, length));
	}
	return NULL;
}

CASE(maps_in_threads)
{
	pthread_t threads[6];
	long i;

	for (i = 0; i < 6; i++)
		CHECK(!pthread_create(&threads[i], NULL, map_often, (void *)i));
	for (i = 0; i < 6; i++)
		pthread_join(threads[i], NULL);
}

/* --- Futexes --- */

static void *die_with_lock(void *argument)
{
	pthread_mutex_lock(argument);
	return NULL;
}

static void init_mutex(pthread_mutex_t *mutex, int robust, int protocol, int shared)
{
	pthread_mutexattr_t attributes;

	pthread_mutexattr_init(&attributes);
	pthread_mutexattr_setrobust(&attributes, robust);
	pthread_mutexattr_setprotocol(&attributes, protocol);
	pthread_mutexattr_setpshared(&attributes, shared);
	CHECK(!pthread_mutex_init(mutex, &attributes));
}

static void robust(int protocol)
{
	pthread_mutex_t *shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE,
				       MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pthread_mutex_t mutex;
	pthread_t thread;
	int i;

	init_mutex(&mutex, PTHREAD_MUTEX_ROBUST, protocol, PTHREAD_PROCESS_PRIVATE);
	for (i = 0; i < 50; i++) {
		CHECK(!pthread_create(&thread, NULL, die_with_lock, &mutex));
		CHECK(!pthread_join(thread, NULL));
		CHECK_EQ(pthread_mutex_lock(&mutex), EOWNERDEAD);
		CHECK(!pthread_mutex_consistent(&mutex));
		CHECK(!pthread_mutex_unlock(&mutex));
	}
	init_mutex(shared, PTHREAD_MUTEX_ROBUST, protocol, PTHREAD_PROCESS_SHARED);
	for (i = 0; i < 50; i++) {
		int fds[2];
		char byte;
		pid_t child;

		CHECK(!pipe(fds));
		child = fork();
		if (!child) {
			pthread_mutex_lock(shared);
			CHECK_EQ(write(fds[1], "x", 1), 1);
			sleep_ms(1);
			kill(getpid(), SIGKILL);
		}
		CHECK_EQ(read(fds[0], &byte, 1), 1);
		CHECK_EQ(pthread_mutex_lock(shared), EOWNERDEAD);
		CHECK(!pthread_mutex_consistent(shared));
		CHECK(!pthread_mutex_unlock(shared));
		join_killed(child, SIGKILL);
		close(fds[0]);
		close(fds[1]);
	}
}

CASE(robust_mutexes) { robust(PTHREAD_PRIO_NONE); }
CASE(robust_mutexes_with_priority_inheritance) { robust(PTHREAD_PRIO_INHERIT); }

static pthread_mutex_t inheriting;

static void *add_inheriting(void *argument)
{
	int i;

	(void)argument;
	for (i = 0; i < 5000; i++) {
		CHECK(!pthread_mutex_lock(&inheriting));
		counter++;
		if (i % 16 == 0)
			sched_yield();
		CHECK(!pthread_mutex_unlock(&inheriting));
	}
	return NULL;
}

CASE(priority_inheritance)
{
	pthread_t threads[6];
	int i;

	init_mutex(&inheriting, PTHREAD_MUTEX_STALLED, PTHREAD_PRIO_INHERIT,
		   PTHREAD_PROCESS_PRIVATE);
	for (i = 0; i < 6; i++)
		CHECK(!pthread_create(&threads[i], NULL, add_inheriting, NULL));
	for (i = 0; i < 6; i++)
		pthread_join(threads[i], NULL);
	CHECK_EQ(counter, 30000);
}

static uint32_t word, word2;

static void *wait_for_word(void *argument)
{
	(void)argument;
	CHECK(!syscall(SYS_futex, &word, FUTEX_WAIT, 0, NULL, NULL, 0));
	return NULL;
}

CASE(requeue)
{
	pthread_t threads[10];
	long moved = 0, woken;
	int i;

	for (i = 0; i < 10; i++)
		CHECK(!pthread_create(&threads[i], NULL, wait_for_word, NULL));
	while (moved < 10) {
		woken = syscall(SYS_futex, &word, FUTEX_CMP_REQUEUE, 0, 100, &word2, 0);
		CHECK(woken >= 0);
		moved += woken;
		sleep_ms(2);
	}
	CHECK_EQ(syscall(SYS_futex, &word, FUTEX_WAKE, 100, NULL, NULL, 0), 0);
	CHECK_EQ(syscall(SYS_futex, &word2, FUTEX_WAKE, 100, NULL, NULL, 0), 10);
	for (i = 0; i < 10; i++)
		pthread_join(threads[i], NULL);
}

CASE(futexes_between_processes)
{
	uint32_t *shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
				-1, 0);
	pid_t child = fork();
	uint32_t mine = child ? 0 : 1, i;

	for (i = 0; i < 20000; i++) {
		uint32_t now;

		while ((now = __atomic_load_n(shared, __ATOMIC_SEQ_CST)) != i * 2 + mine)
			syscall(SYS_futex, shared, FUTEX_WAIT, now, NULL, NULL, 0);
		__atomic_store_n(shared, now + 1, __ATOMIC_SEQ_CST);
		syscall(SYS_futex, shared, FUTEX_WAKE, 1, NULL, NULL, 0);
	}
	if (!child)
		_exit(0);
	join_child(child);
	CHECK_EQ(*shared, 40000);
}

CASE(semaphores_between_processes)
{
	sem_t *shared = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
			     0);
	pid_t child;
	int i;

	CHECK(!sem_init(shared, 1, 0));
	CHECK(!sem_init(shared + 1, 1, 0));
	child = fork();
	for (i = 0; i < 10000; i++) {
		CHECK(!sem_post(shared + !child));
		CHECK(!sem_wait(shared + !!child));
	}
	if (!child)
		_exit(0);
	join_child(child);
}
