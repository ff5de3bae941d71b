/* SPDX-License-Identifier: Apache-2.0 */
/* A program that measures one figure whenever it is told to. */
#ifndef BENCH_FIGURES_H
#define BENCH_FIGURES_H

#include <stddef.h>
#include <stdint.h>

#define PAGE_BYTES 4096UL

/**
 * struct figure - something that is done often, and how long it takes
 * @name: without spaces
 * @run: does it @count times, returns the nanoseconds of that without preparations
 * @operations: how many operations once stands for; 0 is 1
 * @count: how often it was done in a slice of time last; 0 at first
 */
struct figure {
	const char *name;
	uint64_t (*run)(uint64_t count);
	uint64_t operations;
	uint64_t count;
};

uint64_t now_ns(void);

/* Ends the figure that is measured, and says so. Only for the program's first thread. */
_Noreturn void fail(const char *what);

/*
 * Prints "figures NAME ...". Then, for each line "MILLISECONDS NAME" of the standard input, runs
 * the figure for about that time and prints "NAME NS_PER_OPERATION OPERATIONS", or
 * "! NAME WHAT: WHY". Ends with the input. "MILLISECONDS clock" is understood always: it spins as
 * long as this system's clock says.
 */
int serve(struct figure *figures, size_t count);

#endif
