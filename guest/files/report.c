// SPDX-License-Identifier: Apache-2.0
/* How a file service says what went wrong. */
#include "report.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int report(int number, const char *format, ...)
{
	va_list args;

	fprintf(stderr, "%d\t", number);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	if (number)
		fprintf(stderr, ": %s", strerror(number));
	fputc('\n', stderr);
	return 1;
}
