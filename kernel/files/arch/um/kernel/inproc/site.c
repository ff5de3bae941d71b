// SPDX-License-Identifier: GPL-2.0-only
/*
 * Whether a system call site can be patched, and how.
 *
 * What is known for sure: the instruction that trapped, and that the next one
 * begins right after it. All else must be decoded; what is ambiguous is left
 * alone, and goes on trapping.
 */
#include <linux/mm.h>
#include <linux/string.h>
#include <asm/insn.h>
#include "site.h"

#define MOV_EAX		0xb8
#define MOV_LEN		5
#define RET		0xc3
#define MOVED_MAX	24

/* Where to begin to decode in order to get in step, in bytes before a boundary */
#define STEP_FAR	48
#define STEP_NEAR	16
#define STEP_ENOUGH	4

/* Decodes from @at on; where is the first boundary at or after @until? 0: nowhere */
static unsigned int boundary(const u8 *page, unsigned int at, unsigned int until)
{
	struct insn insn;

	while (at < until) {
		if (insn_decode(&insn, page + at, PAGE_SIZE - at, INSN_MODE_64) < 0)
			return 0;
		at += insn.length;
	}
	return at;
}

/*
 * Does an instruction begin here? Decoding from wherever gets in step with the
 * true instructions after a few bytes; all attempts must agree.
 */
static bool is_boundary(const u8 *page, unsigned int at)
{
	unsigned int start, agree = 0;

	for (start = at > STEP_FAR ? at - STEP_FAR : 0; start + STEP_NEAR <= at; start++) {
		unsigned int end = boundary(page, start, at);

		if (!end)
			continue;
		if (end != at)
			return false;
		agree++;
	}
	return agree >= STEP_ENOUGH;
}

static bool find_plain(const u8 *page, unsigned int syscall, u32 nr, struct site *site)
{
	u32 immediate;

	if (syscall < MOV_LEN || page[syscall - MOV_LEN] != MOV_EAX)
		return false;
	memcpy(&immediate, page + syscall - MOV_LEN + 1, sizeof(immediate));
	if (immediate != nr || !is_boundary(page, syscall - MOV_LEN))
		return false;

	site->kind = SITE_PLAIN;
	site->start = syscall - MOV_LEN;
	site->nr = nr;
	return true;
}

/* A prefix before the syscall instruction would become one of the jump's */
static bool may_be_prefix(u8 byte)
{
	switch (byte) {
	case 0x26: case 0x2e: case 0x36: case 0x3e: case 0x64: case 0x65:
	case 0x66: case 0x67: case 0xf0: case 0xf2: case 0xf3:
	case 0x40 ... 0x4f:
		return true;
	}
	return false;
}

/* Is it the same wherever it is executed, and does it go on to the next one? */
static bool is_movable(struct insn *insn)
{
	u8 op = insn->opcode.bytes[0];

	if (insn_rip_relative(insn))
		return false;
	if (insn->opcode.nbytes > 1)	/* 0f: branches and system calls are in there */
		return op == 0x0f && (insn->opcode.bytes[1] & 0xf0) == 0x40;	/* cmovcc */
	switch (op) {
	case 0x00 ... 0x3f:	/* arithmetic */
	case 0x63:		/* movsxd */
	case 0x81: case 0x83: case 0x85: case 0x89: case 0x8b: case 0x8d:
	case 0xb8 ... 0xbf: case 0xc7: case 0xf7:
		return !(op == 0xc7 && X86_MODRM_REG(insn->modrm.value));
	}
	return false;
}

static bool is_padding(const u8 *page, unsigned int at, unsigned int until)
{
	struct insn insn;

	while (at < until) {
		u8 op;

		if (insn_decode(&insn, page + at, PAGE_SIZE - at, INSN_MODE_64) < 0)
			return false;
		op = insn.opcode.bytes[0];
		if (op != 0x90 && op != 0xcc && !(op == 0x0f && insn.opcode.bytes[1] == 0x1f))
			return false;
		at += insn.length;
	}
	return true;
}

/*
 * Whoever jumps to an instruction that was moved lands within the jump. That
 * is trapped at these offsets (see inproc.h), nowhere else.
 */
static bool traps_at(unsigned int offset)
{
	return offset == 2 || offset == 5 || offset == 6 || offset >= PATCH_LEN;
}

static bool find_detour(const u8 *page, unsigned int syscall, struct site *site)
{
	unsigned int at = syscall + SYSCALL_LEN, offset;
	struct insn insn;

	if (syscall && may_be_prefix(page[syscall - 1]) && !is_boundary(page, syscall))
		return false;

	site->kind = SITE_DETOUR;
	site->start = syscall;
	site->returns = false;
	if (page[at] == RET && is_padding(page, at + 1, syscall + PATCH_LEN)) {
		site->moved = 1;
		site->returns = true;
		return true;
	}

	for (; at < syscall + PATCH_LEN; at += insn.length) {
		offset = at - syscall;
		if (!traps_at(offset) || at >= PAGE_SIZE ||
		    insn_decode(&insn, page + at, PAGE_SIZE - at, INSN_MODE_64) < 0 ||
		    !is_movable(&insn))
			return false;
	}
	site->moved = at - syscall - SYSCALL_LEN;
	return site->moved <= MOVED_MAX;
}

/**
 * site_find() - how can this system call be patched?
 * @page:	the bytes of its page
 * @syscall:	offset of the syscall instruction that trapped
 * @nr:		the number it was called with
 * @site:	the answer
 */
bool site_find(const u8 *page, unsigned int syscall, u32 nr, struct site *site)
{
	if (page[syscall] != 0x0f || page[syscall + 1] != 0x05)
		return false;
	if (find_plain(page, syscall, nr, site))
		return true;
	return syscall + PATCH_LEN < PAGE_SIZE && find_detour(page, syscall, site);
}
