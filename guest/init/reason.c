// SPDX-License-Identifier: Apache-2.0
/* Why the container could not be made, in words. */
#include "reason.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int reason_give(struct reason *reason, int error, const char *format, ...)
{
	va_list args;
	size_t used;

	va_start(args, format);
	vsnprintf(reason->text, reason->size, format, args);
	va_end(args);
	used = strlen(reason->text);
	snprintf(reason->text + used, reason->size - used, ": %s", strerror(error));
	return error;
}
