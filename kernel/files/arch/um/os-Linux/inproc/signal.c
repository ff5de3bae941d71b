// SPDX-License-Identifier: GPL-2.0-only
/*
 * The host's signals: faults and traps of the guest, interrupts.
 *
 * A fault of the guest leaves the handler by a jump to the kernel stack,
 * without rt_sigreturn: the registers are saved, no signal was masked, and the
 * stack of the handler is free again. Interrupts mask each other, so that they
 * cannot pile up on that stack, and return properly. A signal that finds the
 * kernel is handled there and then, as in any UML. A signal that finds a host
 * process that waits for its turn is passed on to the one that runs.
 */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/ucontext.h>
#include <as-layout.h>
#include <kern_util.h>
#include <os.h>
#include <skas.h>
#include <sysdep/mcontext.h>
#include <inproc.h>
#include "raw.h"
#include "../internal.h"

#define FLAGS_TF	0x100
#define FLAGS_BAD	0x44500	/* TF, DF, NT, AC: kernel code must not run with them */
#define HOST_SPACE_END	0x7ffffffff000UL

static int is_fault(int sig)
{
	return sig == SIGSEGV || sig == SIGSYS || sig == SIGTRAP || sig == SIGILL ||
	       sig == SIGBUS || sig == SIGFPE;
}

static unsigned long read_fs(void)
{
	unsigned long fs;

	asm volatile("rdfsbase %0" : "=r" (fs));
	return fs;
}

static void write_fs(unsigned long fs)
{
	asm volatile("wrfsbase %0" : : "r" (fs) : "memory");
}

/* The host process that this is: noted at the lowest end of its signal stack */
static struct inproc_host *self(void)
{
	unsigned long sp = (unsigned long)__builtin_frame_address(0);

	return *(struct inproc_host **)(sp & ~(INPROC_ALTSTACK_SIZE - 1UL));
}

/* Kernel code, or the host's vDSO, which lies above all that the guest may map */
static int is_kernel(unsigned long ip, unsigned long fs)
{
	return (ip >= (unsigned long)_text && ip < (unsigned long)_etext) ||
	       (ip >= task_size && ip < HOST_SPACE_END && fs == inproc_vcpu.host_fs);
}

static int in_window(unsigned long ip)
{
	return ip >= (unsigned long)inproc_window_start && ip < (unsigned long)inproc_window_end;
}

/* A signal for the processor that came to a process that does not have it */
static void pass_on(int sig, struct inproc_host *me)
{
	int pid = inproc_vcpu.running->pid;

	if (sig == SIGALRM) {
		me->armed = 0;
		if (inproc_is_first(me))
			inproc_watch();
	} else if (!inproc_vcpu.idle)
		raw_syscall3(__NR_tgkill, pid, pid, sig);
}

/* A system call of the host's vDSO, where its clock needs one */
static void vdso_syscall(mcontext_t *mc)
{
	greg_t *r = mc->gregs;

	inproc_clock_calls = 1;
	r[REG_RAX] = raw_syscall3(r[REG_RAX], r[REG_RDI], r[REG_RSI], r[REG_RDX]);
}

/* The host's kernel has not carried out a system call that is not listed */
static void __attribute__((noreturn)) refused(int nr)
{
	char text[] = "a host system call that is not listed was refused:     ";

	inproc_end_with(text, nr);
}

static void interrupt_kernel(int sig, siginfo_t *si, mcontext_t *mc)
{
	int error;

	if (sig == SIGSYS && mc->gregs[REG_RIP] >= (greg_t)task_size) {
		vdso_syscall(mc);
		return;
	}
	if (sig == SIGTRAP && (mc->gregs[REG_EFL] & FLAGS_TF)) {
		/* The guest single-steps itself, into the gate */
		mc->gregs[REG_EFL] &= ~FLAGS_TF;
		return;
	}
	if (sig == SIGSYS)
		refused(si->si_syscall);
	error = errno;
	um_signal(sig, (struct siginfo *)si, mc);
	errno = error;
}

/* From here the signal's frame, which is on the signal stack, is dead */
static void __attribute__((noreturn)) leave_guest(int sig, siginfo_t *si, mcontext_t *mc)
{
	inproc_vcpu.signo = sig;
	memcpy(inproc_vcpu.info, si, sizeof(*si));
	asm volatile("xrstor64 (%0)\n\t"
		     "jmp inproc_entry_signal"
		     : : "r" (mc->fpregs), "a" ((unsigned int)inproc_xfeatures),
			 "d" ((unsigned int)(inproc_xfeatures >> 32))
		     : "memory");
	__builtin_unreachable();
}

static void handle(int sig, siginfo_t *si, void *p)
{
	mcontext_t *mc = &((ucontext_t *)p)->uc_mcontext;
	struct uml_pt_regs *regs = (void *)inproc_vcpu.regs;
	unsigned long fs = read_fs(), ip = mc->gregs[REG_RIP];
	struct inproc_host *me = self();

	if (sig == SIGCHLD) {
		inproc_reap();
		return;
	}
	if (!is_fault(sig) && me != inproc_vcpu.running) {
		pass_on(sig, me);
		return;
	}

	write_fs(inproc_vcpu.host_fs);
	if (sig == SIGALRM)
		me->armed = 0;

	if (in_window(ip)) {
		if (!is_fault(sig)) {
			os_note_signal(sig);
			mc->gregs[REG_RIP] = (unsigned long)inproc_entry_abort;
			return;
		}
		/* The guest asked for a state that the processor refuses */
		GET_FAULTINFO_FROM_MC(regs->faultinfo, mc);
		leave_guest(sig, si, mc);
	}
	if (is_kernel(ip, fs)) {
		interrupt_kernel(sig, si, mc);
		write_fs(fs);
		return;
	}

	get_regs_from_mc(regs, mc);
	regs->gp[HOST_FS_BASE] = fs;
	if (is_fault(sig)) {
		GET_FAULTINFO_FROM_MC(regs->faultinfo, mc);
		leave_guest(sig, si, mc);
	}
	inproc_vcpu.signo = sig;
	mc->gregs[REG_RIP] = (unsigned long)inproc_entry_signal;
	mc->gregs[REG_CSGSFS] = INPROC_SELECTORS;
	mc->gregs[REG_EFL] &= ~FLAGS_BAD;
}

/**
 * inproc_set_handler() - handles a signal of the host
 *
 * Faults are never masked: their handlers are left by jumps.
 */
void inproc_set_handler(int sig)
{
	struct sigaction action = {
		.sa_sigaction = handle,
		.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_RESTART,
	};
	sigset_t set;

	if (is_fault(sig)) {
		action.sa_flags |= SA_NODEFER;
	} else {
		sigaddset(&action.sa_mask, SIGIO);
		sigaddset(&action.sa_mask, SIGALRM);
		sigaddset(&action.sa_mask, SIGCHLD);
		sigaddset(&action.sa_mask, SIGWINCH);
	}
	if (sig == SIGCHLD)
		action.sa_flags |= SA_NOCLDSTOP;
	if (sigaction(sig, &action, NULL) < 0)
		panic("in-process mode: failed to handle signal %d: %d\n", sig, errno);

	sigemptyset(&set);
	sigaddset(&set, sig);
	if (sigprocmask(SIG_UNBLOCK, &set, NULL) < 0)
		panic("in-process mode: failed to unblock signal %d: %d\n", sig, errno);
}
