// SPDX-License-Identifier: Apache-2.0
/* The loop that all of the programs share: a line in, a figure out. */
#include "figures.h"

#include <errno.h>
#include <setjmp.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#define NS_PER_MS 1000000UL
#define GROWTH_MOST 16

static jmp_buf failed;
static const char *failed_what;
static int failed_why;

uint64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000000UL + now.tv_nsec;
}

void fail(const char *what)
{
	failed_why = errno;
	failed_what = what;
	longjmp(failed, 1);
}

/* How often to do what took that long, to fill the slice. */
static uint64_t fitting(uint64_t count, uint64_t took_ns, uint64_t slice_ns)
{
	double wanted = (double)count * slice_ns / (took_ns ? took_ns : 1);
	double most = (double)count * GROWTH_MOST;

	if (wanted > most)
		wanted = most;
	return wanted < 1 ? 1 : (uint64_t)wanted;
}

static void measure(struct figure *figure, uint64_t slice_ns)
{
	uint64_t operations = figure->operations ? figure->operations : 1;

	if (!figure->count)
		figure->count = 1;
	for (;;) {
		uint64_t count = figure->count;
		uint64_t took_ns = figure->run(count);

		figure->count = fitting(count, took_ns, slice_ns);
		if (took_ns >= slice_ns / 2) {
			printf("%s %.3f %lu\n", figure->name,
			       (double)took_ns / ((double)count * operations),
			       count * operations);
			return;
		}
	}
}

static void spin(uint64_t slice_ns)
{
	uint64_t begin = now_ns();
	uint64_t took_ns;

	do
		took_ns = now_ns() - begin;
	while (took_ns < slice_ns);
	printf("clock %lu 1\n", took_ns);
}

static void answer(struct figure *figures, size_t count, const char *name, uint64_t slice_ns)
{
	if (!strcmp(name, "clock")) {
		spin(slice_ns);
		return;
	}
	for (size_t i = 0; i < count; i++) {
		if (strcmp(name, figures[i].name))
			continue;
		if (setjmp(failed))
			printf("! %s %s: %s\n", name, failed_what, strerror(failed_why));
		else
			measure(&figures[i], slice_ns);
		return;
	}
	printf("! %s: no such figure\n", name);
}

int serve(struct figure *figures, size_t count)
{
	unsigned long slice_ms;
	char name[64];

	printf("figures");
	for (size_t i = 0; i < count; i++)
		printf(" %s", figures[i].name);
	printf("\n");
	fflush(stdout);
	while (scanf("%lu %63s", &slice_ms, name) == 2) {
		answer(figures, count, name, slice_ms * NS_PER_MS);
		fflush(stdout);
	}
	return 0;
}
