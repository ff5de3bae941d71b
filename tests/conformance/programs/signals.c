// SPDX-License-Identifier: Apache-2.0
/* Signals: delivery, masks, stacks, restarts, faults, and a million of them. */
#define _GNU_SOURCE
#include "check.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/sem.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/ucontext.h>
#include <linux/futex.h>

#define PAGE 4096

#pragma GCC diagnostic ignored "-Wclobbered" /* what is used after a jump is volatile */

static volatile sig_atomic_t caught;
static sigjmp_buf back;

static void count_it(int number, siginfo_t *info, void *context)
{
	(void)number;
	(void)info;
	(void)context;
	caught++;
}

/* --- Handlers and masks --- */

static int nesting[16];
static volatile int depth;

static void nest(int number, siginfo_t *info, void *context)
{
	(void)info;
	(void)context;
	nesting[depth++] = number;
	if (number < SIGRTMIN + 7) {
		raise(number + 1);
		nesting[depth++] = -number;
	}
}

CASE(nested_handlers)
{
	int i;

	for (i = 0; i < 8; i++)
		handle(SIGRTMIN + i, nest, 0);
	raise(SIGRTMIN);
	CHECK_EQ(depth, 15);
	for (i = 0; i < 8; i++)
		CHECK_EQ(nesting[i], SIGRTMIN + i);
	for (i = 0; i < 7; i++)
		CHECK_EQ(nesting[8 + i], -(SIGRTMIN + 6 - i));
}

static void raise_masked(int number, siginfo_t *info, void *context)
{
	int before = caught;

	(void)info;
	(void)context;
	if (number != SIGUSR1) {
		caught++;
		return;
	}
	raise(SIGUSR2);
	raise(SIGUSR1);
	if (caught != before)
		fail("a masked signal was delivered");
	caught = before;
	handle(SIGUSR1, count_it, 0);
}

CASE(masked_while_handled)
{
	struct sigaction action = { 0 };

	handle(SIGUSR2, raise_masked, 0);
	action.sa_sigaction = raise_masked;
	action.sa_flags = SA_SIGINFO;
	sigaddset(&action.sa_mask, SIGUSR2);
	CHECK(!sigaction(SIGUSR1, &action, NULL));
	raise(SIGUSR1);
	CHECK_EQ(caught, 2);
}

static void deeper(int number, siginfo_t *info, void *context)
{
	(void)info;
	(void)context;
	if (++caught < 100)
		raise(number);
}

CASE(nodefer_nests_in_itself)
{
	handle(SIGUSR1, deeper, SA_NODEFER);
	raise(SIGUSR1);
	CHECK_EQ(caught, 100);
}

CASE(resethand_is_once)
{
	pid_t child = fork();

	if (!child) {
		handle(SIGUSR1, count_it, SA_RESETHAND);
		raise(SIGUSR1);
		CHECK_EQ(caught, 1);
		raise(SIGUSR1);
		_exit(1);
	}
	join_killed(child, SIGUSR1);
}

CASE(pending_and_unblocked)
{
	sigset_t set, pending, old;

	handle(SIGUSR1, count_it, 0);
	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	CHECK(!sigprocmask(SIG_BLOCK, &set, &old));
	CHECK(!sigismember(&old, SIGUSR1));
	raise(SIGUSR1);
	raise(SIGUSR1);
	CHECK_EQ(caught, 0);
	CHECK(!sigpending(&pending));
	CHECK(sigismember(&pending, SIGUSR1));
	CHECK(!sigprocmask(SIG_UNBLOCK, &set, NULL));
	CHECK_EQ(caught, 1);
}

static int order[64];

static void note_value(int number, siginfo_t *info, void *context)
{
	(void)number;
	(void)context;
	if (info->si_code != SI_QUEUE || info->si_pid != getpid())
		fail("si_code %d, si_pid %d", info->si_code, info->si_pid);
	order[caught++] = info->si_value.sival_int;
}

CASE(realtime_signals_queue_in_order)
{
	union sigval value;
	sigset_t set;
	int i;

	handle(SIGRTMIN, note_value, 0);
	sigfillset(&set);
	sigprocmask(SIG_BLOCK, &set, NULL);
	for (i = 0; i < 64; i++) {
		value.sival_int = i;
		CHECK(!sigqueue(getpid(), SIGRTMIN, value));
	}
	sigprocmask(SIG_UNBLOCK, &set, NULL);
	CHECK_EQ(caught, 64);
	for (i = 0; i < 64; i++)
		CHECK_EQ(order[i], i);
}

CASE(waited_for_signals)
{
	struct timespec timeout = { 0, 20000000 };
	struct signalfd_siginfo read_info;
	siginfo_t info;
	sigset_t set;
	int fd;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigaddset(&set, SIGUSR2);
	sigprocmask(SIG_BLOCK, &set, NULL);
	CHECK(sigtimedwait(&set, &info, &timeout) < 0);
	CHECK_EQ(errno, EAGAIN);
	raise(SIGUSR2);
	CHECK_EQ(sigwaitinfo(&set, &info), SIGUSR2);
	CHECK_EQ(info.si_pid, getpid());
	fd = signalfd(-1, &set, SFD_CLOEXEC);
	CHECK(fd >= 0);
	kill(getpid(), SIGUSR1);
	CHECK_EQ(read(fd, &read_info, sizeof(read_info)), sizeof(read_info));
	CHECK_EQ(read_info.ssi_signo, SIGUSR1);
}

CASE(sigsuspend_swaps_the_mask)
{
	sigset_t set, none, now;
	int i;

	handle(SIGUSR1, count_it, 0);
	sigemptyset(&set);
	sigemptyset(&none);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, NULL);
	for (i = 0; i < 100; i++) {
		raise(SIGUSR1);
		CHECK(sigsuspend(&none) < 0);
		CHECK_EQ(errno, EINTR);
		CHECK_EQ(caught, i + 1);
		sigprocmask(SIG_BLOCK, NULL, &now);
		CHECK(sigismember(&now, SIGUSR1));
	}
}

CASE(kill_and_stop_cannot_be_caught)
{
	struct sigaction action = { .sa_handler = SIG_IGN };
	sigset_t set, now;

	CHECK(sigaction(SIGKILL, &action, NULL) < 0);
	CHECK_EQ(errno, EINVAL);
	CHECK(sigaction(SIGSTOP, &action, NULL) < 0);
	sigfillset(&set);
	sigprocmask(SIG_SETMASK, &set, NULL);
	sigprocmask(SIG_SETMASK, NULL, &now);
	CHECK(!sigismember(&now, SIGKILL));
	CHECK(!sigismember(&now, SIGSTOP));
}

CASE(stop_and_continue)
{
	pid_t child = fork();
	int status, i;

	if (!child) {
		for (;;)
			getppid();
	}
	for (i = 0; i < 20; i++) {
		kill(child, SIGSTOP);
		CHECK_EQ(waitpid(child, &status, WUNTRACED), child);
		CHECK(WIFSTOPPED(status));
		CHECK_EQ(WSTOPSIG(status), SIGSTOP);
		kill(child, SIGCONT);
		CHECK_EQ(waitpid(child, &status, WCONTINUED), child);
		CHECK(WIFCONTINUED(status));
	}
	kill(child, SIGKILL);
	join_killed(child, SIGKILL);
}

CASE(a_computing_process_can_be_killed)
{
	int i;

	for (i = 0; i < 50; i++) {
		pid_t child = fork();

		if (!child)
			for (;;)
				__asm__ volatile("");
		if (i & 1)
			sleep_ms(2);
		kill(child, SIGTERM);
		join_killed(child, SIGTERM);
	}
}

/* --- Stacks --- */

static char *other_stack;
#define OTHER_STACK_BYTES (64 * 1024)

static void on_other_stack(int number, siginfo_t *info, void *context)
{
	char here;
	stack_t now;
	ucontext_t *user = context;

	(void)number;
	(void)info;
	if (&here < other_stack || &here >= other_stack + OTHER_STACK_BYTES)
		fail("not on the other stack");
	sigaltstack(NULL, &now);
	if (!(now.ss_flags & SS_ONSTACK))
		fail("SS_ONSTACK is missing: %#x", now.ss_flags);
	if (user->uc_stack.ss_sp != other_stack)
		fail("uc_stack is another");
	caught++;
}

static void use_other_stack(int flags)
{
	stack_t stack = { .ss_size = OTHER_STACK_BYTES, .ss_flags = flags };

	other_stack = mmap(NULL, OTHER_STACK_BYTES, PROT_READ | PROT_WRITE,
			   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(other_stack != MAP_FAILED);
	stack.ss_sp = other_stack;
	CHECK(!sigaltstack(&stack, NULL));
}

CASE(alternate_stack)
{
	stack_t now;
	int i;

	use_other_stack(0);
	handle(SIGUSR1, on_other_stack, SA_ONSTACK);
	for (i = 0; i < 1000; i++)
		raise(SIGUSR1);
	CHECK_EQ(caught, 1000);
	CHECK(!sigaltstack(NULL, &now));
	CHECK_EQ(now.ss_flags, 0);
	CHECK(now.ss_sp == other_stack);
}

static void on_disarmed_stack(int number, siginfo_t *info, void *context)
{
	char here;
	stack_t now;

	(void)number;
	(void)info;
	(void)context;
	if (&here < other_stack || &here >= other_stack + OTHER_STACK_BYTES)
		fail("not on the other stack");
	sigaltstack(NULL, &now);
	if (now.ss_flags != SS_DISABLE)
		fail("not disarmed: %#x", now.ss_flags);
	caught++;
}

CASE(alternate_stack_disarms_itself)
{
	stack_t now;

	use_other_stack(1U << 31); /* SS_AUTODISARM */
	handle(SIGUSR1, on_disarmed_stack, SA_ONSTACK);
	raise(SIGUSR1);
	raise(SIGUSR1);
	CHECK_EQ(caught, 2);
	CHECK(!sigaltstack(NULL, &now));
	CHECK(now.ss_sp == other_stack);
}

static void leave(int number, siginfo_t *info, void *context)
{
	(void)info;
	(void)context;
	caught++;
	siglongjmp(back, number);
}

__attribute__((noinline))
static int recurse(int level)
{
	volatile char room[1024];

	room[0] = (char)level;
	return caught < 0 ? 0 : recurse(level + 1) + room[0];
}

CASE(stack_overflow_is_survived)
{
	volatile int i;

	use_other_stack(0);
	handle(SIGSEGV, leave, SA_ONSTACK);
	for (i = 0; i < 5; i++)
		if (!sigsetjmp(back, 1))
			recurse(0);
	CHECK_EQ(caught, 5);
}

CASE(stack_overflow_without_a_stack_kills)
{
	pid_t child = fork();

	if (!child) {
		handle(SIGSEGV, leave, 0);
		recurse(0);
		_exit(1);
	}
	join_killed(child, SIGSEGV);
}

CASE(handler_on_an_unmapped_stack_kills)
{
	pid_t child = fork();

	if (!child) {
		stack_t stack = { .ss_sp = (void *)0x10000, .ss_size = OTHER_STACK_BYTES };

		sigaltstack(&stack, NULL);
		handle(SIGUSR1, count_it, SA_ONSTACK);
		raise(SIGUSR1);
		_exit(1);
	}
	join_killed(child, SIGSEGV);
}

CASE(bad_stack_pointer_kills)
{
	static const unsigned long places[] = {
		0, 8, 0x1000, 0x100000, 0x7ffffffff000, 0x7ffffffff008, 0x800000000000,
		0xffff800000000000, 0xffffffffff600000, 0xfffffffffffffff8,
	};
	size_t i;

	for (i = 0; i < sizeof(places) / sizeof(*places); i++) {
		pid_t child = fork();

		if (!child) {
			handle(SIGUSR1, count_it, 0);
			__asm__ volatile("mov %0, %%rsp\n"
					 "syscall\n"
					 "hlt" : : "r"(places[i]), "a"(SYS_kill),
					 "D"(getpid()), "S"(SIGUSR1)
					 : "rcx", "r11", "memory");
			_exit(1);
		}
		join_killed(child, SIGSEGV);
	}
}

CASE(bad_sigreturn_kills)
{
	int i;

	for (i = 0; i < 3; i++) {
		pid_t child = fork();

		if (!child) {
			static unsigned char junk[4096] __attribute__((aligned(64)));

			memset(junk, i == 0 ? 0 : i == 1 ? 0xff : 0x5a, sizeof(junk));
			__asm__ volatile("mov %0, %%rsp\n"
					 "syscall\n"
					 "hlt" : : "r"(junk + 1024), "a"(SYS_rt_sigreturn)
					 : "rcx", "r11", "memory");
			_exit(1);
		}
		join_killed(child, SIGSEGV);
	}
}

/* --- Interrupted calls --- */

static int pipe_fds[2];

/* Signals this process after a while; a little later it makes the call succeed. */
static pid_t disturb(bool finish)
{
	pid_t parent = getpid();
	pid_t child = fork();
	int i;

	CHECK(child >= 0);
	if (child)
		return child;
	for (i = 0; i < 5; i++) {
		sleep_ms(20);
		kill(parent, SIGUSR1);
	}
	sleep_ms(20);
	if (finish && write(pipe_fds[1], "x", 1) != 1)
		_exit(1);
	_exit(0);
}

static void expect_restart(long (*call)(void))
{
	pid_t child;

	CHECK(!pipe(pipe_fds));
	handle(SIGUSR1, count_it, SA_RESTART);
	child = disturb(true);
	CHECK_EQ(call(), 1);
	CHECK(caught >= 1);
	join_child(child);
}

static void expect_eintr(long (*call)(void), int flags)
{
	pid_t child;

	if (!pipe_fds[0])
		CHECK(!pipe(pipe_fds));
	handle(SIGUSR1, count_it, flags);
	child = disturb(false);
	errno = 0;
	CHECK_EQ(call(), -1);
	CHECK_EQ(errno, EINTR);
	CHECK(caught >= 1);
	join_child(child);
}

static long call_read(void)
{
	char byte;

	return read(pipe_fds[0], &byte, 1);
}

static long call_poll(void)
{
	struct pollfd entry = { .fd = pipe_fds[0], .events = POLLIN };

	return poll(&entry, 1, -1);
}

static long call_select(void)
{
	fd_set set;

	FD_ZERO(&set);
	FD_SET(pipe_fds[0], &set);
	return select(pipe_fds[0] + 1, &set, NULL, NULL, NULL);
}

static long call_epoll(void)
{
	struct epoll_event event = { .events = EPOLLIN };
	int fd = epoll_create1(0);

	epoll_ctl(fd, EPOLL_CTL_ADD, pipe_fds[0], &event);
	return epoll_wait(fd, &event, 1, -1);
}

static long call_pause(void)
{
	return pause();
}

static long call_futex(void)
{
	static uint32_t word;

	return syscall(SYS_futex, &word, FUTEX_WAIT, 0, NULL, NULL, 0);
}

static long call_accept(void)
{
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	struct sockaddr address = { .sa_family = AF_UNIX };

	CHECK(!bind(fd, &address, sizeof(address.sa_family)));
	CHECK(!listen(fd, 1));
	return accept(fd, NULL, NULL);
}

static long call_recv(void)
{
	int fds[2];
	char byte;

	CHECK(!socketpair(AF_UNIX, SOCK_STREAM, 0, fds));
	return recv(fds[0], &byte, 1, 0);
}

static long call_semop(void)
{
	int id = semget(IPC_PRIVATE, 1, 0600);
	struct sembuf operation = { .sem_op = -1 };
	long result = semop(id, &operation, 1);
	int saved = errno;

	semctl(id, 0, IPC_RMID);
	errno = saved;
	return result;
}

static long call_full_pipe(void)
{
	static char much[1 << 20];

	/* The first write comes back short, as part of it was written; the next waits. */
	CHECK(write(pipe_fds[1], much, sizeof(much)) > 0);
	return write(pipe_fds[1], much, sizeof(much));
}

static long call_fifo(void)
{
	char name[] = "/tmp/fifo.XXXXXX";
	long result;
	int saved;

	CHECK(mkdtemp(name));
	CHECK(!chdir(name));
	CHECK(!mkfifo("fifo", 0600));
	result = open("fifo", O_RDONLY);
	saved = errno;
	unlink("fifo");
	rmdir(name);
	errno = saved;
	return result;
}

static long call_flock(void)
{
	char name[] = "/tmp/lock.XXXXXX";
	int fd = mkstemp(name);
	int other = open(name, O_RDWR);
	long result;
	int saved;

	CHECK(!flock(fd, LOCK_EX));
	result = flock(other, LOCK_EX);
	saved = errno;
	unlink(name);
	errno = saved;
	return result;
}

static long call_wait(void)
{
	pid_t child = fork();
	long result;
	int saved;

	if (!child)
		for (;;)
			pause();
	result = waitpid(child, NULL, 0);
	saved = errno;
	kill(child, SIGKILL);
	errno = saved;
	return result;
}

CASE(restart_read) { expect_restart(call_read); }
CASE(eintr_read) { expect_eintr(call_read, 0); }
CASE(eintr_poll_always) { expect_eintr(call_poll, SA_RESTART); }
CASE(eintr_select_always) { expect_eintr(call_select, SA_RESTART); }
CASE(eintr_epoll_always) { expect_eintr(call_epoll, SA_RESTART); }
CASE(eintr_pause_always) { expect_eintr(call_pause, SA_RESTART); }
CASE(eintr_semop_always) { expect_eintr(call_semop, SA_RESTART); }
CASE(eintr_futex) { expect_eintr(call_futex, 0); }
CASE(eintr_accept) { expect_eintr(call_accept, 0); }
CASE(eintr_recv) { expect_eintr(call_recv, 0); }
CASE(eintr_write) { expect_eintr(call_full_pipe, 0); }
CASE(eintr_fifo) { expect_eintr(call_fifo, 0); }
CASE(eintr_flock) { expect_eintr(call_flock, 0); }
CASE(eintr_wait) { expect_eintr(call_wait, 0); }

CASE(restart_wait)
{
	pid_t quick = fork();
	pid_t child;

	if (!quick) {
		sleep_ms(200);
		_exit(0);
	}
	CHECK(!pipe(pipe_fds));
	handle(SIGUSR1, count_it, SA_RESTART);
	child = disturb(false);
	CHECK_EQ(waitpid(quick, NULL, 0), quick);
	CHECK(caught >= 1);
	join_child(child);
}

CASE(nanosleep_tells_what_is_left)
{
	struct timespec asked = { 2, 0 }, left = { 0 };
	pid_t child;
	int64_t begin;

	CHECK(!pipe(pipe_fds));
	handle(SIGUSR1, count_it, SA_RESTART);
	begin = now_ns();
	child = disturb(false);
	CHECK(nanosleep(&asked, &left) < 0);
	CHECK_EQ(errno, EINTR);
	CHECK(left.tv_sec == 1 && left.tv_nsec > 0);
	CHECK(now_ns() - begin < 1000000000);
	join_child(child);
}

CASE(sleep_goes_on_after_a_stop)
{
	int64_t begin = now_ns();
	pid_t child = fork();
	int status, i;

	if (!child) {
		struct timespec asked = { 0, 400000000 };

		_exit(nanosleep(&asked, NULL) ? 1 : 0);
	}
	for (i = 0; i < 5; i++) {
		sleep_ms(20);
		kill(child, SIGSTOP);
		CHECK_EQ(waitpid(child, &status, WUNTRACED), child);
		CHECK(WIFSTOPPED(status));
		kill(child, SIGCONT);
	}
	join_child(child);
	CHECK(now_ns() - begin >= 400000000);
}

/* --- Jumps out of handlers --- */

CASE(siglongjmp_out_of_handlers)
{
	long rounds = count_of("JUMPS", 20000);
	volatile long i;
	sigset_t now;

	handle(SIGUSR1, leave, 0);
	for (i = 0; i < rounds; i++)
		if (!sigsetjmp(back, 1))
			raise(SIGUSR1);
	CHECK_EQ(caught, rounds);
	sigprocmask(SIG_BLOCK, NULL, &now);
	CHECK(!sigismember(&now, SIGUSR1));
}

CASE(siglongjmp_out_of_blocked_calls)
{
	struct itimerval timer = { { 0, 0 }, { 0, 2000 } };
	volatile int i;

	CHECK(!pipe(pipe_fds));
	handle(SIGALRM, leave, 0);
	for (i = 0; i < 200; i++) {
		if (!sigsetjmp(back, 1)) {
			CHECK(!setitimer(ITIMER_REAL, &timer, NULL));
			call_read();
			_exit(1);
		}
	}
	CHECK_EQ(caught, 200);
}

static volatile unsigned long spinning;

CASE(siglongjmp_out_of_computing)
{
	struct itimerval timer = { { 0, 0 }, { 0, 2000 } };
	volatile int i;

	handle(SIGALRM, leave, 0);
	for (i = 0; i < 200; i++) {
		if (!sigsetjmp(back, 1)) {
			CHECK(!setitimer(ITIMER_REAL, &timer, NULL));
			for (;;)
				spinning++;
		}
	}
	CHECK_EQ(caught, 200);
}

/* --- Faults --- */

static char *fault_area;
#define FAULT_PAGES 2000

static void allow_page(int number, siginfo_t *info, void *context)
{
	char *page = (char *)((uintptr_t)info->si_addr & ~(uintptr_t)(PAGE - 1));

	(void)context;
	if (number != SIGSEGV || info->si_code != SEGV_ACCERR)
		fail("signal %d, si_code %d", number, info->si_code);
	if (page < fault_area || page >= fault_area + FAULT_PAGES * PAGE)
		fail("si_addr %p", info->si_addr);
	if (mprotect(page, PAGE, PROT_READ | PROT_WRITE))
		fail("mprotect: errno %d", errno);
	caught++;
}

CASE(faults_are_mended_by_mprotect)
{
	int i, round;

	handle(SIGSEGV, allow_page, 0);
	fault_area = mmap(NULL, FAULT_PAGES * PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(fault_area != MAP_FAILED);
	for (round = 0; round < 3; round++) {
		for (i = 0; i < FAULT_PAGES; i++) {
			volatile int *place = (int *)(fault_area + (long)i * PAGE + 64);

			CHECK_EQ(*place, round ? i + round - 1 : 0);
			*place = i + round;
		}
		CHECK_EQ(caught, FAULT_PAGES * (round + 1));
		CHECK(!mprotect(fault_area, FAULT_PAGES * PAGE, PROT_NONE));
	}
}

CASE(faults_of_a_readonly_mapping)
{
	int i;

	handle(SIGSEGV, allow_page, 0);
	fault_area = mmap(NULL, FAULT_PAGES * PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(fault_area != MAP_FAILED);
	for (i = 0; i < FAULT_PAGES; i++) {
		volatile int *place = (int *)(fault_area + (long)i * PAGE);

		CHECK_EQ(*place, 0);
		CHECK_EQ(caught, i);
		*place = 1;
		CHECK_EQ(caught, i + 1);
	}
}

static siginfo_t last;
static greg_t last_trap, last_error, last_cr2;

static void note_fault(int number, siginfo_t *info, void *context)
{
	ucontext_t *user = context;

	last = *info;
	last_trap = user->uc_mcontext.gregs[REG_TRAPNO];
	last_error = user->uc_mcontext.gregs[REG_ERR];
	last_cr2 = user->uc_mcontext.gregs[REG_CR2];
	siglongjmp(back, number);
}

/* The signal that touching an address gives; 0 for none. */
static int touch(unsigned long address, bool writing)
{
	int number = sigsetjmp(back, 1);

	if (!number) {
		if (writing)
			*(volatile char *)address = 1;
		else
			(void)*(volatile char *)address;
	}
	return number;
}

CASE(fault_details)
{
	char *page;

	handle(SIGSEGV, note_fault, 0);
	page = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK_EQ(touch(8, false), SIGSEGV);
	CHECK_EQ(last.si_code, SEGV_MAPERR);
	CHECK_EQ((long)last.si_addr, 8);
	CHECK_EQ(last_trap, 14);
	CHECK_EQ(last_cr2, 8);
	CHECK_EQ(last_error & 2, 0);
	CHECK_EQ(touch((unsigned long)page + 5, true), SIGSEGV);
	CHECK_EQ(last.si_code, SEGV_ACCERR);
	CHECK_EQ((long)last.si_addr, (long)page + 5);
	CHECK_EQ(last_error & 2, 2);
	munmap(page, PAGE);
	CHECK_EQ(touch((unsigned long)page, true), SIGSEGV);
	CHECK_EQ(last.si_code, SEGV_MAPERR);
}

CASE(faults_at_addresses_no_program_has)
{
	static const unsigned long places[] = {
		0xffff800000000000, 0xffffffff81000000, 0xffffffffff600000 - 0x1000,
		0xfffffffffffff000,
	};
	size_t i;

	handle(SIGSEGV, note_fault, 0);
	for (i = 0; i < sizeof(places) / sizeof(*places); i++) {
		CHECK_EQ(touch(places[i], false), SIGSEGV);
		CHECK_EQ((unsigned long)last.si_addr, places[i]);
		CHECK_EQ(touch(places[i], true), SIGSEGV);
	}
}

CASE(faults_that_have_no_address)
{
	/* Not canonical: a general protection fault. */
	handle(SIGSEGV, note_fault, 0);
	CHECK_EQ(touch(0x800000000000, false), SIGSEGV);
	CHECK_EQ((long)last.si_addr, 0);
	CHECK_EQ(last.si_code, SI_KERNEL);
}

CASE(code_where_there_is_none)
{
	static const unsigned long places[] = { 0, 0x1000, 0x100000, 0xffff800000000000 };
	size_t i;

	handle(SIGSEGV, note_fault, 0);
	for (i = 0; i < sizeof(places) / sizeof(*places); i++) {
		if (!sigsetjmp(back, 1)) {
			((void (*)(void))places[i])();
			fail("code at %#lx was executed", places[i]);
		}
		CHECK_EQ((unsigned long)last.si_addr, places[i]);
	}
}

CASE(code_that_may_not_be_executed)
{
	char *page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	handle(SIGSEGV, note_fault, 0);
	page[0] = (char)0xc3;
	if (!sigsetjmp(back, 1)) {
		((void (*)(void))page)();
		fail("a page without PROT_EXEC was executed");
	}
	CHECK_EQ((long)last.si_addr, (long)page);
	CHECK_EQ(last.si_code, SEGV_ACCERR);
}

CASE(bus_error_behind_the_end_of_a_file)
{
	char name[] = "/tmp/short.XXXXXX";
	int fd = mkstemp(name);
	char *map;

	unlink(name);
	handle(SIGBUS, note_fault, 0);
	CHECK(!ftruncate(fd, PAGE));
	map = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	CHECK(map != MAP_FAILED);
	CHECK_EQ(touch((unsigned long)map, true), 0);
	CHECK_EQ(touch((unsigned long)map + PAGE, true), SIGBUS);
	CHECK_EQ(last.si_code, BUS_ADRERR);
	CHECK_EQ((long)last.si_addr, (long)map + PAGE);
	CHECK(!ftruncate(fd, 0));
	CHECK_EQ(touch((unsigned long)map, false), SIGBUS);
	CHECK(!ftruncate(fd, 2 * PAGE));
	CHECK_EQ(touch((unsigned long)map + PAGE, true), 0);
}

static void step_over(int number, siginfo_t *info, void *context)
{
	ucontext_t *user = context;

	last = *info;
	caught++;
	/* All are instructions of two bytes here, except for int3, which is behind it already. */
	if (number != SIGTRAP)
		user->uc_mcontext.gregs[REG_RIP] += 2;
}

CASE(illegal_and_arithmetic_instructions)
{
	int i;

	handle(SIGILL, step_over, 0);
	handle(SIGFPE, step_over, 0);
	handle(SIGTRAP, step_over, 0);
	handle(SIGSEGV, step_over, 0);
	for (i = 0; i < 100; i++) {
		caught = 0;
		__asm__ volatile("ud2" : : : "memory");
		CHECK_EQ(caught, 1);
		CHECK_EQ(last.si_signo, SIGILL);
		CHECK_EQ(last.si_code, ILL_ILLOPN);
		__asm__ volatile("xor %%edx, %%edx\n"
				 "xor %%ecx, %%ecx\n"
				 "div %%ecx" : : "a"(1) : "rcx", "rdx", "cc", "memory");
		CHECK_EQ(caught, 2);
		CHECK_EQ(last.si_signo, SIGFPE);
		CHECK_EQ(last.si_code, FPE_INTDIV);
		__asm__ volatile("int3" : : : "memory");
		CHECK_EQ(caught, 3);
		CHECK_EQ(last.si_signo, SIGTRAP);
		/* hlt and a prefix: privileged. */
		__asm__ volatile(".byte 0x48, 0xf4" : : : "memory");
		CHECK_EQ(caught, 4);
		CHECK_EQ(last.si_signo, SIGSEGV);
	}
}

static void count_step(int number, siginfo_t *info, void *context)
{
	(void)number;
	(void)context;
	if (info->si_code != TRAP_TRACE && info->si_code != TRAP_BRKPT)
		fail("si_code %d", info->si_code);
	caught++;
}

CASE(trap_flag_steps)
{
	handle(SIGTRAP, count_step, 0);
	__asm__ volatile("pushfq\n"
			 "orq $0x100, (%%rsp)\n"
			 "popfq\n"
			 "nop\n"
			 "nop\n"
			 "nop\n"
			 "nop\n"
			 "pushfq\n"
			 "andq $~0x100, (%%rsp)\n"
			 "popfq\n" : : : "memory", "cc");
	/* After each of four nops, pushfq, andq and popfq. */
	CHECK_EQ(caught, 7);
}

CASE(trap_flag_steps_over_a_system_call)
{
	long result;

	handle(SIGTRAP, count_step, 0);
	__asm__ volatile("pushfq\n"
			 "orq $0x100, (%%rsp)\n"
			 "popfq\n"
			 "mov %1, %%eax\n"
			 "syscall\n"
			 "nop\n"
			 "pushfq\n"
			 "andq $~0x100, (%%rsp)\n"
			 "popfq\n" : "=a"(result) : "i"(SYS_getppid) : "memory", "cc", "rcx", "r11");
	CHECK_EQ(result, getppid());
	/* After mov, nop, pushfq, andq, popfq; after syscall too on some. */
	CHECK(caught == 5 || caught == 6);
}

static void change_registers(int number, siginfo_t *info, void *context)
{
	greg_t *registers = ((ucontext_t *)context)->uc_mcontext.gregs;

	(void)number;
	(void)info;
	registers[REG_RAX] = 0x1111;
	registers[REG_RBX] = 0x2222;
	registers[REG_R12] = 0x3333;
	registers[REG_R15] = 0x4444;
	registers[REG_RCX] = 0x5555;
	registers[REG_R11] = 0x6666;
	registers[REG_RIP] += 2;
}

CASE(handlers_change_registers)
{
	unsigned long rax, rbx, r12, r15, rcx, r11;

	handle(SIGILL, change_registers, 0);
	__asm__ volatile("ud2\n"
			 "mov %%r11, %5\n"
			 "mov %%rcx, %4\n"
			 "mov %%r15, %3\n"
			 "mov %%r12, %2\n"
			 "mov %%rbx, %1\n"
			 : "=a"(rax), "=m"(rbx), "=m"(r12), "=m"(r15), "=m"(rcx), "=m"(r11)
			 : : "rbx", "r12", "r15", "rcx", "r11", "memory");
	CHECK_EQ(rax, 0x1111);
	CHECK_EQ(rbx, 0x2222);
	CHECK_EQ(r12, 0x3333);
	CHECK_EQ(r15, 0x4444);
	CHECK_EQ(rcx, 0x5555);
	CHECK_EQ(r11, 0x6666);
}

/* --- Many --- */

CASE(a_million_signals)
{
	long rounds = count_of("SIGNALS", 1000000);
	long i;

	handle(SIGUSR1, count_it, 0);
	for (i = 0; i < rounds; i++)
		syscall(SYS_tgkill, getpid(), gettid(), SIGUSR1);
	CHECK_EQ(caught, rounds);
}

CASE(signals_between_processes)
{
	long rounds = count_of("PINGS", 20000);
	sigset_t set;
	siginfo_t info;
	pid_t parent = getpid(), child;
	long i;

	sigemptyset(&set);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, NULL);
	child = fork();
	for (i = 0; i < rounds; i++) {
		if (child)
			kill(child, SIGUSR1);
		CHECK_EQ(sigwaitinfo(&set, &info), SIGUSR1);
		CHECK_EQ(info.si_pid, child ? child : parent);
		if (!child)
			kill(parent, SIGUSR1);
	}
	if (!child)
		_exit(0);
	join_child(child);
}

static void *storm(void *target)
{
	int i;

	for (i = 0; i < 20000; i++)
		pthread_kill(*(pthread_t *)target, SIGUSR1);
	return NULL;
}

CASE(signals_while_calling)
{
	pthread_t self = pthread_self(), threads[3];
	long i, rounds = 0;
	char byte = 'x';
	int running = 3;

	CHECK(!pipe(pipe_fds));
	handle(SIGUSR1, count_it, SA_RESTART);
	for (i = 0; i < 3; i++)
		CHECK(!pthread_create(&threads[i], NULL, storm, &self));
	while (running) {
		CHECK_EQ(write(pipe_fds[1], &byte, 1), 1);
		CHECK_EQ(read(pipe_fds[0], &byte, 1), 1);
		CHECK_EQ(byte, 'x');
		CHECK_EQ(syscall(SYS_getppid), getppid());
		if (++rounds % 64 == 0 && !pthread_tryjoin_np(threads[running - 1], NULL))
			running--;
	}
	CHECK(caught > 0);
}

static volatile long in_handler;

static void call_in_handler(int number, siginfo_t *info, void *context)
{
	int saved = errno;

	(void)number;
	(void)info;
	(void)context;
	if (syscall(SYS_getpid) <= 0 || read(-1, NULL, 0) != -1 || errno != EBADF)
		in_handler = -1000000;
	in_handler++;
	errno = saved;
}

CASE(timer_signals_while_calling)
{
	struct itimerval timer = { { 0, 500 }, { 0, 500 } };
	int64_t end = now_ns() + 2000000000;
	pid_t self = getpid();

	handle(SIGALRM, call_in_handler, SA_RESTART);
	CHECK(!setitimer(ITIMER_REAL, &timer, NULL));
	while (now_ns() < end) {
		errno = 0;
		CHECK_EQ(syscall(SYS_getpid), self);
		CHECK_EQ(errno, 0);
		CHECK_EQ(syscall(SYS_close, -1), -1);
		CHECK_EQ(errno, EBADF);
	}
	CHECK(in_handler > 50);
}

CASE(posix_timers)
{
	struct itimerspec every = { { 0, 5000000 }, { 0, 5000000 } };
	struct sigevent event = { .sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGRTMIN };
	timer_t timer;
	int64_t begin;

	handle(SIGRTMIN, count_it, 0);
	CHECK(!timer_create(CLOCK_MONOTONIC, &event, &timer));
	begin = now_ns();
	CHECK(!timer_settime(timer, 0, &every, NULL));
	while (caught < 20)
		pause();
	CHECK(now_ns() - begin >= 95000000);
	CHECK(!timer_delete(timer));
}

static void count_processor_time(int which, int number)
{
	struct itimerval timer = { { 0, 10000 }, { 0, 10000 } };
	int64_t end = now_ns() + 10000000000;

	handle(number, count_it, 0);
	CHECK(!setitimer(which, &timer, NULL));
	while (caught < 10 && now_ns() < end)
		for (int i = 0; i < 100000; i++)
			spinning++;
	CHECK(caught >= 10);
}

CASE(timer_of_processor_time) { count_processor_time(ITIMER_PROF, SIGPROF); }
CASE(timer_of_user_time) { count_processor_time(ITIMER_VIRTUAL, SIGVTALRM); }
