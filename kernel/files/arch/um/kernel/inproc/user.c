// SPDX-License-Identifier: GPL-2.0-only
/*
 * The life of a task in user mode: in through the gate, and what to do when
 * it comes back. Replaces userspace() of ptrace mode.
 */
#include <linux/audit.h>
#include <linux/ptrace.h>
#include <linux/sched.h>
#include <linux/sched/signal.h>
#include <asm/tlbflush.h>
#include <as-layout.h>
#include <kern_util.h>
#include <os.h>
#include <skas.h>
#include <inproc.h>

#define USER_CS		0x33
#define USER_SS		0x2b
#define EFLAGS_IF	0x202
#define EFLAGS_USER	0x254dd5UL	/* what user mode may set */
#define EFLAGS_TF	0x100UL
#define EFLAGS_SLOW	0x44500UL	/* TF, DF, NT, AC: the fast way keeps the kernel's */

#define XSTATE_BV	64	/* in units of 8 bytes */
#define XCOMP_BV	65
#define XSTATE_HEADER_WORDS 8
#define MXCSR_WORD	6	/* in units of 4 bytes */
#define MXCSR_VALID	0xffff

/*
 * The bytes come from a signal frame or from a debugger: what XRSTOR would
 * refuse is cleared.
 */
void inproc_fp_check(void *fp)
{
	unsigned long *words = fp;
	unsigned int *mxcsr = (unsigned int *)fp + MXCSR_WORD;
	int i;

	*mxcsr &= MXCSR_VALID;
	words[XSTATE_BV] &= inproc_xfeatures;
	for (i = XCOMP_BV; i < XSTATE_BV + XSTATE_HEADER_WORDS; i++)
		words[i] = 0;
}

static unsigned long canonical(unsigned long address)
{
	return (long)(address << 16) >> 16 == address ? address : 0;
}

/**
 * inproc_write_gs() - puts GS base of the current task into the register
 * @regs:	of the current task
 */
void inproc_write_gs(struct uml_pt_regs *regs)
{
	unsigned long gs = regs->gp[HOST_GS_BASE];

	if (!inproc_mode || gs == inproc_vcpu.running->gs)
		return;
	gs = canonical(gs);
	if (gs != inproc_vcpu.running->gs) {
		asm volatile("wrgsbase %0" : : "r" (gs) : "memory");
		inproc_vcpu.running->gs = gs;
	}
}

/**
 * inproc_read_gs() - the current task may have changed GS base in user mode
 * @regs:	of the current task
 */
void inproc_read_gs(struct uml_pt_regs *regs)
{
	if (!inproc_mode || !inproc_vcpu.fp_live)
		return;
	asm volatile("rdgsbase %0" : "=r" (inproc_vcpu.running->gs));
	regs->gp[HOST_GS_BASE] = inproc_vcpu.running->gs;
}

/**
 * inproc_leave() - another task takes the processor
 * @regs:	of the task that had it
 */
void inproc_leave(struct uml_pt_regs *regs)
{
	inproc_vcpu.progress++;
	inproc_read_gs(regs);
	inproc_fp_save(regs->fp);
}

/* Prepares what the slow way returns through */
static void load_iret(struct uml_pt_regs *regs, unsigned long target)
{
	unsigned long flags = (regs->gp[HOST_EFLAGS] & EFLAGS_USER) | EFLAGS_IF;

	if (test_thread_flag(TIF_SINGLESTEP))
		flags |= EFLAGS_TF;
	inproc_vcpu.iret[0] = target;
	inproc_vcpu.iret[1] = USER_CS;
	inproc_vcpu.iret[2] = flags;
	inproc_vcpu.iret[3] = regs->gp[HOST_SP];
	inproc_vcpu.iret[4] = USER_SS;
}

/* Returns at the next event, INPROC_SYSCALL or INPROC_SIGNAL */
static int enter(struct uml_pt_regs *regs, int full)
{
	struct mm_struct *mm = current->mm;
	unsigned long target;
	int event, err;

	if (unlikely(mm->context.host->stale))
		inproc_expect(mm);
	for (;;) {
		block_signals();
		if (unlikely(read_thread_flags() & _TIF_WORK_MASK)) {
			unblock_signals();
			interrupt_end();
			continue;
		}

		inproc_switch(mm->context.host);
		if (unlikely(mm->context.host->stale))
			inproc_adopt(mm);
		if (um_tlb_dirty(mm)) {
			err = um_tlb_sync(mm);
			inproc_wanted = 0;
			inproc_wanted_end = 0;
			if (unlikely(err)) {
				/* Whoever shares it shall not go on with what is left */
				inproc_unmap_guest();
				um_tlb_mark_sync(mm, 0, TASK_SIZE);
				unblock_signals();
				pr_err("%s[%d]: failed to map memory on the host: %d\n",
				       current->comm, current->pid, err);
				force_fatal_sig(SIGKILL);
				continue;
			}
		}

		if (!inproc_vcpu.fp_live) {
			inproc_fp_check(regs->fp);
			inproc_xrstor(regs->fp);
			inproc_vcpu.fp_live = 1;
		}
		inproc_write_gs(regs);

		target = inproc_target(regs);
		if ((regs->gp[HOST_EFLAGS] & EFLAGS_SLOW) || test_thread_flag(TIF_SINGLESTEP))
			full = 1;
		if (full) {
			regs->gp[HOST_FS_BASE] = canonical(regs->gp[HOST_FS_BASE]);
			load_iret(regs, target);
		}

		inproc_vcpu.progress++;
		event = inproc_enter(regs->gp, target, full);
		if (event != INPROC_ABORT)
			return event;
		unblock_signals();
	}
}

static void page_fault(struct uml_pt_regs *regs)
{
	unsigned long address = regs->faultinfo.cr2;
	int is_write = FAULT_WRITE(regs->faultinfo);

	if (inproc_refill(address, is_write, FAULT_EXEC(regs->faultinfo)))
		return;
	segv_handler(SIGSEGV, NULL, regs, NULL);
	inproc_prefault(address);
}

static void fault_without_address(struct uml_pt_regs *regs, int sig)
{
	current->thread.arch.faultinfo = regs->faultinfo;
	force_sig(sig);
}

static void relay(int sig, struct uml_pt_regs *regs)
{
	unsigned long info[ARRAY_SIZE(inproc_vcpu.info)];

	memcpy(info, inproc_vcpu.info, sizeof(info));
	if (((struct siginfo *)info)->si_code == SI_KERNEL)	/* int3 */
		fault_without_address(regs, sig);
	else
		relay_signal(sig, (struct siginfo *)info, regs, NULL);
}

/* A system call that trapped: of this kind, or of one that we do not have? */
static bool is_64bit_call(void)
{
	const struct siginfo *info = (const struct siginfo *)inproc_vcpu.info;

	return info->si_arch == AUDIT_ARCH_X86_64;
}

/* Returns true if it is a system call after all */
static bool signalled(struct uml_pt_regs *regs)
{
	int sig = inproc_vcpu.signo, event;

	regs->resume_ip = 0;
	regs->is_user = 1;
	/* Set for a debugger's step, not by the task */
	if (test_thread_flag(TIF_SINGLESTEP))
		regs->gp[HOST_EFLAGS] &= ~EFLAGS_TF;
	event = inproc_fixup(regs, sig);
	if (event == INPROC_ABORT)
		return false;

	switch (sig) {
	case SIGSYS:
		if (!is_64bit_call()) {
			force_sig_fault(SIGSEGV, SI_KERNEL, NULL);
			break;
		}
		inproc_patch_site(regs);
		return true;
	case SIGSEGV:
		if (SEGV_IS_FIXABLE(&regs->faultinfo))
			page_fault(regs);
		else
			fault_without_address(regs, sig);
		break;
	case SIGTRAP:
	case SIGILL:
		if (event != INPROC_SYSCALL)
			relay(sig, regs);
		break;
	case SIGBUS:
	case SIGFPE:
		relay(sig, regs);
		break;
	default:
		inproc_user_irq(sig, regs);
	}
	return event == INPROC_SYSCALL;
}

/**
 * inproc_userspace() - runs a task in user mode until it ends
 * @regs:	its registers
 */
void inproc_userspace(struct uml_pt_regs *regs)
{
	int full = 1;

	interrupt_end();
	regs->is_user = 1;
	for (;;) {
		int event = enter(regs, full);

		UPT_SYSCALL_NR(regs) = -1;
		full = 1;
		if (event == INPROC_SYSCALL ? UPT_IP(regs) || inproc_look_up(regs) :
					      signalled(regs)) {
			regs->gp[HOST_ORIG_AX] = regs->gp[HOST_AX];
			inproc_vcpu.calls++;
			handle_syscall(regs);
			/* As the instruction does: RCX and R11 tell where it goes on */
			full = regs->gp[HOST_CX] != regs->gp[HOST_IP] ||
			       regs->gp[HOST_R11] != regs->gp[HOST_EFLAGS] || current->ptrace;
		}
		if (unlikely(read_thread_flags() & _TIF_WORK_MASK))
			interrupt_end();
		regs->gp[HOST_ORIG_AX] = -1;
	}
}
