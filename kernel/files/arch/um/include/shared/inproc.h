/* SPDX-License-Identifier: GPL-2.0-only */
/*
 * In-process mode: the kernel is mapped, shared, at the same address in every
 * host process that stands for a guest address space; system calls, faults
 * and interrupts are handled in the host process in which they happen.
 *
 * This header is seen by the kernel's side, by the host's side and by
 * assembly. docs/in-process.md of drupe tells how the parts play together.
 */
#ifndef __UM_INPROC_H
#define __UM_INPROC_H

/*
 * The gate lies directly below the kernel's image. The guest can map nothing
 * from here to the end of the kernel's virtual memory.
 *
 * A patched system call site is an indirect jump through a slot, "ff 24 xx
 * <slot>". The two upper bytes of a slot's address, 0e 06 or 0e 07, are
 * invalid instructions in 64 bit mode, so that whoever jumps into the middle
 * of a patched site is trapped.
 */
#define INPROC_GATE		0x0e000000
#define INPROC_SLOTS		0x0e060000
#define INPROC_STUBS		0x0e100000
#define INPROC_SITES		0x0e200000
#define INPROC_SITES_END	0x0e240000
#define INPROC_CLOCK		0x0e300000
#define INPROC_CLOCK_MAGIC	0x6b636f6c63756d21
#define INPROC_NSEC_PER_SEC	1000000000L

#define INPROC_SITE_COUNT	16384
#define INPROC_STUB_SIZE	64

/* Members of struct inproc_vcpu, for assembly */
#define VCPU_REGS		0
#define VCPU_STACK		8
#define VCPU_HOST_FS		16
#define VCPU_RESUME		24
#define VCPU_HANDOVER_SP	32
#define VCPU_RUNNING		40
#define VCPU_ENABLED		48
#define VCPU_PENDING		52
#define VCPU_IRET		56
#define VCPU_TARGET		96

/* Members of struct uml_pt_regs beyond gp[], for assembly */
#define REGS_RESUME_IP		256
#define REGS_RESUME		264

/* What inproc_enter() returns */
#define INPROC_SYSCALL		0
#define INPROC_SIGNAL		1
#define INPROC_ABORT		2

#define INPROC_ALTSTACK_SIZE	32768
#define INPROC_VMALLOC_SIZE	0x40000000

/* CLONE_FS, CLONE_FILES, CLONE_PARENT_SETTID, CLONE_CHILD_SETTID, SIGCHLD */
#define INPROC_CLONE_FLAGS	0x1100611

/* Values of inproc_host.turn beside 0 and 1 */
#define INPROC_TURN_EXIT	2

/* How many pages are remembered of what a host process has mapped */
#define INPROC_KEPT		400
#define INPROC_KEPT_UNKNOWN	-1

#if !defined(__ASSEMBLER__) && defined(CONFIG_UML_INPROC)

struct mm_struct;
struct siginfo;
struct uml_pt_regs;

/*
 * A page that a host process has mapped for the guest.
 *
 * @virt: where
 * @offset: of the page in the memory file
 * @prot: PROT_READ, PROT_WRITE, PROT_EXEC
 */
struct inproc_kept {
	unsigned long virt;
	unsigned long offset : 48;
	unsigned long prot : 8;
};

/*
 * A host process that stands for a guest address space, or waits to.
 *
 * @turn: futex: 1 when this process is to go on with the kernel,
 *	INPROC_TURN_EXIT when it is to end
 * @pid: host process id
 * @ready: futex: 1 when it can be handed the processor
 * @altstack: where its signal handlers run; this structure's address is
 *	stored at its lowest end
 * @next: in the pool, or in another list of those that have no address space
 * @vm_generation: of the kernel's virtual mappings that it has
 * @armed: when its timer will fire, in ns of the host's monotonic clock; or 0
 * @stale: its mappings are those of an address space that has ended
 * @program: which program forked its address space; 0: none, it executed one
 * @pinned: 1 + the processor of the host that it may run on; 0: on any
 * @gs: its GS base
 * @vmas: upper bound of the number of guest mappings that it has
 * @kept_count: how many pages are in @kept; negative: there were too many
 * @kept: what it has mapped for the guest
 * @older: in the list of all; set once, as is nothing else
 */
struct inproc_host {
	int turn;
	int pid;
	int ready;
	void *altstack;
	struct inproc_host *next;
	unsigned long vm_generation;
	long long armed;
	int stale;
	unsigned long program;
	unsigned int pinned;
	unsigned long gs;
	unsigned int vmas;
	int kept_count;
	struct inproc_kept kept[INPROC_KEPT];
	struct inproc_host *older;
};

/*
 * What a virtual processor is. There is one today; with several, each host
 * thread finds its own through %gs instead of a fixed address.
 *
 * @regs: gp[] of the task that is in user mode, or was last
 * @stack: the kernel stack to come back to
 * @host_fs: FS base of the host's C library
 * @resume: scratch of the gate
 * @handover_sp: kernel stack pointer on its way to another host process
 * @running: the host process that has this processor
 * @enabled: interrupts are enabled
 * @pending: bits of interrupts that came while they were disabled
 * @target: where the fast way to user mode leads
 * @iret: what the slow way to user mode returns through
 * @active: bits of interrupts whose handlers are active
 * @signo: the signal of the last INPROC_SIGNAL
 * @fp_live: the vector registers are those of the current task
 * @idle: sleeps until an interrupt
 * @progress: counts entries to user mode and changes of the task
 * @calls: counts system calls
 * @deadline: of the clock event device, ns of the host's monotonic clock; or 0
 * @next_free: when the process that runs may be let go, ns: see place.c
 * @info: siginfo of the last INPROC_SIGNAL
 */
struct inproc_vcpu {
	unsigned long regs;
	unsigned long stack;
	unsigned long host_fs;
	unsigned long resume;
	unsigned long handover_sp;
	struct inproc_host *running;
	int enabled;
	int pending;
	unsigned long iret[5];
	unsigned long target;
	unsigned int active;
	int signo;
	int fp_live;
	int idle;
	unsigned long progress;
	unsigned long calls;
	long long deadline;
	long long next_free;
	unsigned long info[16];
};

/* Where a patched site is mapped in this address space: private to it */
struct inproc_site {
	unsigned long ip;
	unsigned long next;
};

/*
 * How the guest's vDSO reads the clock: the host's monotonic clock through the
 * host's vDSO, plus an offset.
 *
 * @sequence: odd while this is changed
 * @valid: the guest's clocks run as the host's does
 * @mono: from the host's monotonic clock to the guest's
 * @real: from the host's monotonic clock to the guest's real time
 * @gettime: clock_gettime() of the host's vDSO
 */
struct inproc_clock {
	unsigned int sequence;
	int valid;
	struct inproc_offset {
		long sec;
		long nsec;
	} mono, real;
	int (*gettime)(int clock, void *timespec);
};

extern char _text[], _etext[];
extern char __start_rodata[], __start_ro_after_init[];
extern unsigned long task_size;
extern unsigned long exec_regs[];
extern unsigned long *exec_fp_regs;
extern struct inproc_vcpu inproc_vcpu;
extern int inproc_mode;

/* arch/x86/um/inproc_64.S */
void inproc_handover(struct inproc_host *from, struct inproc_host *to);
int inproc_clone(void *stack, struct inproc_host *host, int *pid);
void inproc_entry(void);
void inproc_entry_detour(void);
void inproc_entry_signal(void);
void inproc_entry_abort(void);
extern char inproc_window_start[], inproc_window_end[];

/* arch/um/os-Linux/inproc/host.c */
void inproc_end(const char *why) __attribute__((noreturn));
void inproc_end_with(char *why, unsigned int value) __attribute__((noreturn));
void inproc_exit(int status) __attribute__((noreturn));
void inproc_hosts_init(void);
struct inproc_host *inproc_host_get(unsigned long program, unsigned long forks);
void inproc_host_put(struct inproc_host *host);
void inproc_switch_slowly(struct inproc_host *to);
void inproc_switch_first(void);
int inproc_first_pid(void);
int inproc_is_first(const struct inproc_host *host);
void inproc_host_main(struct inproc_host *host);
int inproc_hosts_trim(int keep);
void inproc_reap(void);

/* arch/um/os-Linux/inproc/image.c */
void inproc_checks(void);
void inproc_share_image(int fd);
void inproc_share(unsigned long start, unsigned long end, int fd);

/* arch/um/os-Linux/inproc/jail.c */
void inproc_jail(int memory_fd);
void inproc_may_write(int fd);
void inproc_may_size(int fd);
void inproc_thread_starts(void);
void inproc_thread_runs(void);
extern int inproc_memory_fd;

/* arch/um/os-Linux/inproc/memory.c */
int inproc_map(unsigned long virt, unsigned long len, int prot, int fd,
	       unsigned long long offset, int fresh);
int inproc_protect(unsigned long virt, unsigned long len, int prot);
int inproc_unmap(unsigned long virt, unsigned long len);
int inproc_flush(void);
void inproc_kept_map(unsigned long virt, unsigned long len, int prot, unsigned long offset);
void inproc_kept_protect(unsigned long virt, unsigned long len, int prot);
void inproc_kept_unmap(unsigned long virt, unsigned long len);
void inproc_kept_nothing(void);
void inproc_unmap_guest(void);
void inproc_map_shared(unsigned long virt, unsigned long len, int prot, int fd,
		       unsigned long long offset);
int inproc_give_back(unsigned long virt, unsigned long len);
void inproc_vm_changed(void);
extern unsigned long inproc_vm_generation;
extern unsigned long inproc_vma_limit;
extern unsigned long inproc_wanted, inproc_wanted_end;

/* arch/um/os-Linux/inproc/place.c */
void inproc_place_init(void);
void inproc_place(int pid, unsigned int *pinned);
int inproc_place_apart(int pid, unsigned int *pinned);
void inproc_place_freely(long long now);
void inproc_unpin(struct inproc_host *host);

/* arch/um/os-Linux/inproc/signal.c */
void inproc_set_handler(int sig);
void inproc_user_irq(int sig, struct uml_pt_regs *regs);

/* arch/um/os-Linux/inproc/time.c */
void inproc_timer_program(long long deadline);
void inproc_timer_arm(void);
void inproc_idle(void);
void inproc_watch(void);

/* arch/um/os-Linux/inproc/clock.c */
void *inproc_find_gettime(void);
void inproc_try_clock(void);
extern int inproc_clock_calls;

/* arch/um/kernel/inproc */
void *inproc_map_gate(unsigned long virt, unsigned long len, int prot);
void inproc_set_clock(unsigned long *vdso, int readable);
void inproc_userspace(struct uml_pt_regs *regs);
void inproc_fp_check(void *fp);
void inproc_prefault(unsigned long address);
void inproc_patch_site(struct uml_pt_regs *regs);
int inproc_look_up(struct uml_pt_regs *regs);
unsigned long inproc_target(struct uml_pt_regs *regs);
int inproc_fixup(struct uml_pt_regs *regs, int sig);
unsigned long inproc_shadow(unsigned long phys, unsigned long virt);
int inproc_refill(unsigned long address, int is_write, int is_exec);
int inproc_sync(struct mm_struct *mm, unsigned long addr, unsigned long end);
void inproc_expect(struct mm_struct *mm);
void inproc_adopt(struct mm_struct *mm);
int inproc_init_context(struct mm_struct *mm, int forks);
void inproc_destroy_context(struct mm_struct *mm);
extern unsigned long inproc_xfeatures;

static inline void inproc_xsave(void *fp)
{
	asm volatile("xsave64 (%0)"
		     : : "r" (fp), "a" ((unsigned int)inproc_xfeatures),
			 "d" ((unsigned int)(inproc_xfeatures >> 32))
		     : "memory");
}

static inline void inproc_xrstor(void *fp)
{
	asm volatile("xrstor64 (%0)"
		     : : "r" (fp), "a" ((unsigned int)inproc_xfeatures),
			 "d" ((unsigned int)(inproc_xfeatures >> 32))
		     : "memory");
}

static inline void inproc_fp_save(void *fp)
{
	if (inproc_vcpu.fp_live) {
		inproc_xsave(fp);
		inproc_vcpu.fp_live = 0;
	}
}

static inline void inproc_fp_drop(void)
{
	inproc_vcpu.fp_live = 0;
}

/*
 * Enters user mode; returns at the next event. No call and no return: the
 * guest's own are in between, and the processor predicts where returns lead
 * to by the calls that it has seen. An unpaired one would make each return of
 * the guest, up its whole chain of calls, a wrong prediction.
 */
static inline int inproc_enter(unsigned long *gp, unsigned long target, int full)
{
	int event;

	asm volatile("pushq $1f\n\t"
		     "jmp inproc_to_user\n"
		     "1:"
		     : "=a" (event), "+D" (gp), "+S" (target), "+d" (full)
		     : : "rcx", "r8", "r9", "r10", "r11", "cc", "memory");
	return event;
}

/* Goes on in another host process */
static inline void inproc_switch(struct inproc_host *to)
{
	if (to != inproc_vcpu.running)
		inproc_switch_slowly(to);
}

void inproc_read_gs(struct uml_pt_regs *regs);
void inproc_write_gs(struct uml_pt_regs *regs);
void inproc_leave(struct uml_pt_regs *regs);
void inproc_share_data(unsigned long brk_end);
void inproc_vm_fault(unsigned long address);

#elif !defined(__ASSEMBLER__)

struct mm_struct;
struct uml_pt_regs;

#define inproc_mode 0
#define inproc_xfeatures 0UL
static inline void inproc_fp_save(void *fp) { }
static inline void inproc_fp_drop(void) { }
static inline void inproc_read_gs(struct uml_pt_regs *regs) { }
static inline void inproc_write_gs(struct uml_pt_regs *regs) { }
static inline void inproc_thread_starts(void) { }
static inline void inproc_thread_runs(void) { }
static inline void inproc_may_write(int fd) { }
static inline void inproc_may_size(int fd) { }
static inline void inproc_vm_changed(void) { }
static inline void inproc_leave(struct uml_pt_regs *regs) { }
static inline void inproc_set_clock(unsigned long *vdso, int readable) { }
void inproc_end(const char *why);
void inproc_exit(int status);
void inproc_share_data(unsigned long brk_end);
void inproc_vm_fault(unsigned long address);
void inproc_hosts_init(void);
void inproc_switch_first(void);
int inproc_first_pid(void);
void inproc_checks(void);
void inproc_userspace(struct uml_pt_regs *regs);
int inproc_init_context(struct mm_struct *mm, int forks);
void inproc_destroy_context(struct mm_struct *mm);
int inproc_sync(struct mm_struct *mm, unsigned long addr, unsigned long end);

#endif

#endif
