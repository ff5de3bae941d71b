/* SPDX-License-Identifier: Apache-2.0 */
/* What the tables of a program that has just started take of the host's memory. */
#ifndef NETPOLICY_MEMORY_H
#define NETPOLICY_MEMORY_H

/* Writes the program's tables to @file, unless that has been done. */
void memory_record(int file);
/* Shares what is as in @file with all who do, gives back what is zero; -1: no file. */
void memory_settle(int file);

#endif
