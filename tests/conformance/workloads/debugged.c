// SPDX-License-Identifier: Apache-2.0
/* What gdb and strace are shown: threads, calls, a fault. */
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int total;

static int inner(int value)
{
	total += value;
	return total * 2;
}

static int outer(int value)
{
	int found = inner(value + 1);

	return found + 1;
}

static void *thread_body(void *argument)
{
	(void)argument;
	return (void *)(long)outer(10);
}

int main(int count, char **arguments)
{
	pthread_t thread;

	if (count > 1 && !strcmp(arguments[1], "crash"))
		*(volatile int *)8 = outer(1);
	pthread_create(&thread, NULL, thread_body, NULL);
	pthread_join(thread, NULL);
	for (int i = 0; i < 5; i++)
		outer(i);
	printf("pid %d total %d\n", getpid(), total);
	return 7;
}
