/* SPDX-License-Identifier: GPL-2.0-only */
#ifndef __INPROC_SITE_H
#define __INPROC_SITE_H

#include <linux/types.h>

#define PATCH_LEN	7	/* jmp *slot */
#define SYSCALL_LEN	2

/*
 * How a system call site is patched.
 *
 * SITE_PLAIN: "mov $nr,%eax; syscall" becomes the jump; the stub loads the
 * number.
 * SITE_DETOUR: "syscall" and what follows it, up to PATCH_LEN bytes or more,
 * becomes the jump; the stub executes what followed and jumps back.
 */
enum site_kind { SITE_NONE, SITE_PLAIN, SITE_DETOUR };

/*
 * A site, as found.
 *
 * @kind: how to patch it
 * @start: offset in its page of the first byte of the jump
 * @moved: number of bytes after the syscall instruction that the stub executes
 * @returns: what was moved ends with a return: there is no way back
 * @nr: the number of the system call (SITE_PLAIN)
 */
struct site {
	enum site_kind kind;
	u16 start;
	u8 moved;
	bool returns;
	u32 nr;
};

bool site_find(const u8 *page, unsigned int syscall, u32 nr, struct site *site);

#endif
