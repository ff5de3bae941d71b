/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * The gate of in-process mode: into user mode and back, from one host process
 * to another, and the making of host processes.
 *
 * Between inproc_window_start and inproc_window_end interrupts are enabled
 * but the registers are already the guest's: a signal that finds the
 * processor there is noted, and entering is given up (inproc_entry_abort).
 */
#include <linux/linkage.h>
#include <asm/unistd.h>
#include <inproc.h>

#define GP_R15	0
#define GP_R14	8
#define GP_R13	16
#define GP_R12	24
#define GP_RBP	32
#define GP_RBX	40
#define GP_R11	48
#define GP_R10	56
#define GP_R9	64
#define GP_R8	72
#define GP_RAX	80
#define GP_RCX	88
#define GP_RDX	96
#define GP_RSI	104
#define GP_RDI	112
#define GP_ORIG	120
#define GP_RIP	128
#define GP_CS	136
#define GP_EFL	144
#define GP_RSP	152
#define GP_SS	160
#define GP_FS	168

/* Flags that kernel code must not run with: trap, nested task, alignment check */
#define FLAGS_BAD	0x44100
#define FLAGS_KERNEL	0x202

#define FUTEX_WAIT	0
#define FUTEX_WAKE	1

.macro SAVE_CALLEE
	pushq	%rbx
	pushq	%rbp
	pushq	%r12
	pushq	%r13
	pushq	%r14
	pushq	%r15
.endm

.macro RESTORE_CALLEE
	popq	%r15
	popq	%r14
	popq	%r13
	popq	%r12
	popq	%rbp
	popq	%rbx
.endm

	.text

/* Returns from inproc_to_user(), without a prediction of where to */
.macro LEAVE
	RESTORE_CALLEE
	popq	%rcx
	jmp	*%rcx
.endm

/*
 * int inproc_to_user(unsigned long *gp, unsigned long target, int full)
 *
 * Is jumped to, with the address to come back to on the stack, and comes back
 * by a jump: see its wrapper in inproc.h.
 */
SYM_CODE_START(inproc_to_user)
	SAVE_CALLEE
	movq	%rsp, inproc_vcpu + VCPU_STACK
	movq	%rdi, inproc_vcpu + VCPU_REGS
SYM_INNER_LABEL(inproc_window_start, SYM_L_GLOBAL)
	movl	$1, inproc_vcpu + VCPU_ENABLED
	cmpl	$0, inproc_vcpu + VCPU_PENDING
	jne	inproc_entry_abort
	movq	GP_FS(%rdi), %rax
	wrfsbase %rax
	movq	GP_R15(%rdi), %r15
	movq	GP_R14(%rdi), %r14
	movq	GP_R13(%rdi), %r13
	movq	GP_R12(%rdi), %r12
	movq	GP_RBP(%rdi), %rbp
	movq	GP_RBX(%rdi), %rbx
	movq	GP_R10(%rdi), %r10
	movq	GP_R9(%rdi), %r9
	movq	GP_R8(%rdi), %r8
	testl	%edx, %edx
	jnz	1f

	/* The status flags are the caller's; RCX and R11 tell of the system call */
	movq	%rsi, inproc_vcpu + VCPU_TARGET
	movl	GP_EFL(%rdi), %ecx
	shrl	$11, %ecx
	andl	$1, %ecx
	movb	GP_EFL(%rdi), %ch
	movl	%ecx, %eax
	addb	$0x7f, %al
	sahf
	movq	GP_RAX(%rdi), %rax
	movq	GP_RIP(%rdi), %rcx
	movq	GP_EFL(%rdi), %r11
	movq	GP_RDX(%rdi), %rdx
	movq	GP_RSI(%rdi), %rsi
	movq	GP_RSP(%rdi), %rsp
	movq	GP_RDI(%rdi), %rdi
	jmp	*inproc_vcpu + VCPU_TARGET

1:	movq	$(inproc_vcpu + VCPU_IRET), %rsp
	movq	GP_R11(%rdi), %r11
	movq	GP_RAX(%rdi), %rax
	movq	GP_RCX(%rdi), %rcx
	movq	GP_RDX(%rdi), %rdx
	movq	GP_RSI(%rdi), %rsi
	movq	GP_RDI(%rdi), %rdi
	iretq
SYM_INNER_LABEL(inproc_window_end, SYM_L_GLOBAL)
	ud2
SYM_CODE_END(inproc_to_user)

/* A signal came while entering; what the guest has is still in its gp[] */
SYM_CODE_START(inproc_entry_abort)
	movl	$0, inproc_vcpu + VCPU_ENABLED
	movq	inproc_vcpu + VCPU_HOST_FS, %rax
	wrfsbase %rax
	movl	$INPROC_ABORT, %eax
	jmp	.Lback
SYM_CODE_END(inproc_entry_abort)

/* The signal handler has saved the registers and set FS */
SYM_CODE_START(inproc_entry_signal)
	movl	$INPROC_SIGNAL, %eax
.Lback:
	movq	inproc_vcpu + VCPU_STACK, %rsp
	pushq	$FLAGS_KERNEL
	popfq
	LEAVE
SYM_CODE_END(inproc_entry_signal)

/*
 * A patched system call: RAX the number, RCX where the guest goes on, R11 its
 * stub. Where RCX is 0, the kernel looks up which site the stub is for.
 */
SYM_CODE_START(inproc_entry)
	jrcxz	1f
	movq	%rcx, %r11
1:
/* The same, where it goes on by way of R11 */
SYM_INNER_LABEL(inproc_entry_detour, SYM_L_GLOBAL)
	movq	%r11, inproc_vcpu + VCPU_RESUME
	movq	inproc_vcpu + VCPU_REGS, %r11
	movq	%rcx, GP_RIP(%r11)
	movq	%rcx, GP_RCX(%r11)
	movq	%rcx, REGS_RESUME_IP(%r11)
	movq	%rax, GP_RAX(%r11)
	movq	%rax, GP_ORIG(%r11)
	movq	%rdi, GP_RDI(%r11)
	movq	%rsi, GP_RSI(%r11)
	movq	%rdx, GP_RDX(%r11)
	movq	%r10, GP_R10(%r11)
	movq	%r8, GP_R8(%r11)
	movq	%r9, GP_R9(%r11)
	movq	%rsp, GP_RSP(%r11)
	movq	%rbx, GP_RBX(%r11)
	movq	%rbp, GP_RBP(%r11)
	movq	%r12, GP_R12(%r11)
	movq	%r13, GP_R13(%r11)
	movq	%r14, GP_R14(%r11)
	movq	%r15, GP_R15(%r11)
	movq	inproc_vcpu + VCPU_RESUME, %rbx
	movq	%rbx, REGS_RESUME(%r11)
	rdfsbase %rax
	movq	%rax, GP_FS(%r11)
	movq	inproc_vcpu + VCPU_HOST_FS, %rax
	wrfsbase %rax
	movq	inproc_vcpu + VCPU_STACK, %rsp
	pushfq
	popq	%rbx
	cld
	movq	%rbx, GP_EFL(%r11)
	movq	%rbx, GP_R11(%r11)
	testl	$FLAGS_BAD, %ebx
	jnz	2f
1:	xorl	%eax, %eax
	LEAVE
2:	pushq	$FLAGS_KERNEL
	popfq
	jmp	1b
SYM_CODE_END(inproc_entry)

/* void inproc_handover(struct inproc_host *from, struct inproc_host *to) */
SYM_CODE_START(inproc_handover)
	SAVE_CALLEE
	movq	%rsp, inproc_vcpu + VCPU_HANDOVER_SP
	movq	%rdi, %rbx
	movq	%rsi, inproc_vcpu + VCPU_RUNNING
	movl	$1, (%rsi)
	movq	%rsi, %rdi
	movl	$FUTEX_WAKE, %esi
	movl	$1, %edx
	movl	$__NR_futex, %eax
	syscall
	/* From here the kernel's stacks are no longer ours. */
.Lwait:
	cmpl	$0, (%rbx)
	jne	1f
	movq	%rbx, %rdi
	movl	$FUTEX_WAIT, %esi
	xorl	%edx, %edx
	xorl	%r10d, %r10d
	movl	$__NR_futex, %eax
	syscall
	jmp	.Lwait
1:	cmpl	$INPROC_TURN_EXIT, (%rbx)
	je	2f
	movl	$0, (%rbx)
	movq	inproc_vcpu + VCPU_HANDOVER_SP, %rsp
	RESTORE_CALLEE
	RET
2:	xorl	%edi, %edi
	movl	$__NR_exit_group, %eax
	syscall
	ud2
SYM_CODE_END(inproc_handover)

/* int inproc_clone(void *stack, struct inproc_host *host, int *pid) */
SYM_CODE_START(inproc_clone)
	pushq	%rbx
	movq	%rsi, %rbx
	movq	%rdi, %rsi
	movl	$INPROC_CLONE_FLAGS, %edi
	movq	%rdx, %r10
	xorl	%r8d, %r8d
	movl	$__NR_clone, %eax
	syscall
	testq	%rax, %rax
	jz	1f
	popq	%rbx
	RET
1:	movq	%rbx, %rdi
	call	inproc_host_main
	jmp	.Lwait
SYM_CODE_END(inproc_clone)
