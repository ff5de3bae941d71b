/* SPDX-License-Identifier: Apache-2.0 */
/* How a file service says what went wrong. */
#ifndef FILES_REPORT_H
#define FILES_REPORT_H

/*
 * One line on stderr: the errno (0: none), a tab, what failed. Returns 1, the
 * exit status of a service that failed.
 */
int report(int number, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
