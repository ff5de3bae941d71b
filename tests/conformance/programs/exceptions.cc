// SPDX-License-Identifier: Apache-2.0
/* C++: exceptions through signal frames and out of threads, cancellation that unwinds. */
#include "check.h"

#include <atomic>
#include <condition_variable>
#include <future>
#include <memory>
#include <mutex>
#include <pthread.h>
#include <stdexcept>
#include <string>
#include <sys/mman.h>
#include <thread>
#include <ucontext.h>
#include <unwind.h>
#include <vector>

namespace {

struct Fault : std::runtime_error {
	explicit Fault(void *place) : std::runtime_error("fault"), address(place) {}
	void *address;
};

int destroyed;
volatile int sink;

struct Counted {
	~Counted() { destroyed++; }
};

void throw_fault(int, siginfo_t *info, void *)
{
	/* The signal is masked in its handler, and an exception does not return from there. */
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, info->si_signo);
	sigprocmask(SIG_UNBLOCK, &set, nullptr);
	throw Fault(info->si_addr);
}

__attribute__((noinline)) int read_from(volatile int *place)
{
	Counted counted;

	return *place;
}

__attribute__((noinline)) int divide(volatile int a, volatile int b)
{
	Counted counted;

	return a / b;
}

} // namespace

CASE(exceptions_out_of_fault_handlers)
{
	handle(SIGSEGV, throw_fault, 0);
	handle(SIGFPE, throw_fault, 0);
	for (int i = 0; i < 1000; i++) {
		auto *place = reinterpret_cast<volatile int *>(16UL + 8 * i);

		try {
			sink = read_from(place);
			fail("no exception");
		} catch (const Fault &fault) {
			CHECK(fault.address == place);
		}
		try {
			sink = divide(i, 0);
			fail("no exception");
		} catch (const Fault &) {
		}
		CHECK_EQ(destroyed, 2 * i + 2);
	}
}

namespace {

int pipe_fds[2];

void throw_plain(int, siginfo_t *, void *)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGALRM);
	sigprocmask(SIG_UNBLOCK, &set, nullptr);
	throw std::runtime_error("alarm");
}

/* The instruction itself, in a function that can be unwound from just there. */
__attribute__((noinline)) long blocking_read(int fd, char *byte)
{
	long result;

	/* The nop: where the signal's frame goes on must still be within what can throw. */
	__asm__ volatile("syscall\n"
			 "nop" : "=a"(result) : "a"(SYS_read), "D"(fd), "S"(byte), "d"(1)
			 : "rcx", "r11", "memory");
	return result;
}

} // namespace

CASE(exceptions_out_of_blocked_calls)
{
	CHECK(!pipe(pipe_fds));
	handle(SIGALRM, throw_plain, 0);
	for (int i = 0; i < 100; i++) {
		try {
			char byte;

			ualarm(2000, 0);
			blocking_read(pipe_fds[0], &byte);
			fail("no exception");
		} catch (const std::runtime_error &error) {
			CHECK(!strcmp(error.what(), "alarm"));
		}
	}
}

namespace {

_Unwind_Reason_Code count_frame(struct _Unwind_Context *context, void *data)
{
	auto *found = static_cast<std::vector<unsigned long> *>(data);

	found->push_back(_Unwind_GetIP(context));
	return _URC_NO_REASON;
}

std::vector<unsigned long> frames;

void walk(int, siginfo_t *, void *)
{
	frames.clear();
	_Unwind_Backtrace(count_frame, &frames);
}

bool inside(unsigned long place, const void *function)
{
	auto begin = reinterpret_cast<unsigned long>(function);

	return place >= begin && place < begin + 512;
}

} // namespace

CASE(backtraces_out_of_handlers)
{
	char byte;

	CHECK(!pipe(pipe_fds));
	handle(SIGALRM, walk, 0);
	ualarm(20000, 0);
	CHECK_EQ(blocking_read(pipe_fds[0], &byte), -EINTR);
	bool found = false;

	for (unsigned long place : frames)
		found |= inside(place, reinterpret_cast<void *>(blocking_read));
	CHECK(found);
}

CASE(exceptions_in_threads)
{
	std::vector<std::thread> threads;
	std::atomic<int> caught{0};

	for (int i = 0; i < 8; i++)
		threads.emplace_back([&caught, i] {
			for (int k = 0; k < 2000; k++) {
				try {
					std::string text(100, 'x');

					if (k % 2)
						throw std::runtime_error(text);
					throw k + i;
				} catch (const std::runtime_error &error) {
					caught += error.what()[99] == 'x';
				} catch (int value) {
					caught += value == k + i;
				}
			}
		});
	for (auto &thread : threads)
		thread.join();
	CHECK_EQ(caught.load(), 16000);
}

CASE(exceptions_between_threads)
{
	for (int i = 0; i < 300; i++) {
		auto result = std::async(std::launch::async, [i]() -> int {
			if (i % 3 == 0)
				throw std::out_of_range("i");
			return i;
		});

		try {
			CHECK_EQ(result.get(), i);
			CHECK(i % 3);
		} catch (const std::out_of_range &) {
			CHECK(i % 3 == 0);
		}
	}
}

namespace {

void *unwound_by_cancellation(void *)
{
	Counted outer;

	try {
		Counted inner;
		char byte;

		(void)!read(pipe_fds[0], &byte, 1);
	} catch (...) {
		destroyed += 100;
		throw;
	}
	return nullptr;
}

} // namespace

CASE(cancellation_unwinds)
{
	CHECK(!pipe(pipe_fds));
	for (int i = 0; i < 50; i++) {
		pthread_t thread;
		void *result;

		destroyed = 0;
		CHECK(!pthread_create(&thread, nullptr, unwound_by_cancellation, nullptr));
		if (i % 2)
			sleep_ms(5);
		CHECK(!pthread_cancel(thread));
		CHECK(!pthread_join(thread, &result));
		CHECK(result == PTHREAD_CANCELED);
		if (i % 2)
			CHECK_EQ(destroyed, 102);
	}
}

namespace {

/* A queue with a bound, producers and consumers: what they pass is summed on both sides. */
template <typename Value> class Queue {
public:
	explicit Queue(size_t most) : most_(most) {}

	void push(Value value)
	{
		std::unique_lock<std::mutex> lock(mutex_);

		room_.wait(lock, [this] { return values_.size() < most_; });
		values_.push_back(std::move(value));
		filled_.notify_one();
	}

	Value pop()
	{
		std::unique_lock<std::mutex> lock(mutex_);

		filled_.wait(lock, [this] { return !values_.empty(); });
		Value value = std::move(values_.back());

		values_.pop_back();
		room_.notify_one();
		return value;
	}

private:
	std::mutex mutex_;
	std::condition_variable room_, filled_;
	std::vector<Value> values_;
	size_t most_;
};

} // namespace

CASE(a_threaded_program_under_load)
{
	int64_t end = now_ns() + count_of("SECONDS", 3) * 1000000000LL;
	long rounds = 0;

	while (now_ns() < end) {
		Queue<std::unique_ptr<long>> queue(16);
		std::atomic<long> sent{0}, received{0};
		std::vector<std::thread> threads;

		for (int i = 0; i < 6; i++) {
			threads.emplace_back([&queue, &sent, i] {
				for (long k = 0; k < 2000; k++) {
					sent += i * k;
					queue.push(std::make_unique<long>(i * k));
				}
			});
			threads.emplace_back([&queue, &received] {
				for (long k = 0; k < 2000; k++) {
					auto value = queue.pop();

					try {
						throw *value;
					} catch (long thrown) {
						received += thrown;
					}
				}
			});
		}
		for (auto &thread : threads)
			thread.join();
		CHECK_EQ(sent.load(), received.load());
		/* Cancellation, in a process that goes on. */
		CHECK(!pipe(pipe_fds));
		pthread_t thread;
		void *result;

		CHECK(!pthread_create(&thread, nullptr, unwound_by_cancellation, nullptr));
		CHECK(!pthread_cancel(thread));
		CHECK(!pthread_join(thread, &result));
		close(pipe_fds[0]);
		close(pipe_fds[1]);
		rounds++;
	}
	CHECK(rounds > 0);
}
