/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guest-stub/crash.c - see crash.h.
 *
 * Runs on one CPU: the first to crash; others help it to dump.  Everything it needs is static, it allocates nothing.
 */
#include "guest-stub/clock.h"
#include "guest-stub/crash.h"
#include "guest-stub/crew.h"
#include "guest-stub/dump.h"
#include "guest-stub/machine.h"
#include "guest-stub/mem.h"
#include "guest-stub/smp.h"
#include "guest-stub/trap.h"

/* our choice: a CPU parks in well under 1 ms, unless more vCPUs than host CPUs compete */
#define PARK_MS 200
/* bits 63..32 of every register of a parked CPU that has no other purpose; the rest tells register and CPU */
#define PARK_VALUE 0x5afe000000000000

extern uint64_t boot_pml4[];
extern const char crash_out_first[], crash_out_last[], crash_park_first[], crash_park_loop[],
	crash_park_last[];

static const char *const reg_names[PARK_NR] = {"rax", "rbx", "rcx", "rdx", "rsi", "rdi", "rbp", "rsp", "r8",
	"r9", "r10", "r11", "r12", "r13", "r14", "r15"};

/* Intel SDM vol. 3A, table 6-1 */
static const char *const vector_names[] = {"divide error", "debug exception", "NMI", "breakpoint",
	"overflow", "bound range exceeded", "invalid opcode", "device not available", "double fault",
	"vector 9", "invalid TSS", "segment not present", "stack fault", "general protection fault",
	"page fault", "vector 15", "x87 error", "alignment check", "machine check", "SIMD error"};

struct crash_plan crash_plan;

static struct fw_panic block __attribute__((aligned(FW_BLOCK_ALIGN)));
static struct fw_regs saved_regs[FW_PANIC_REGS_MAX];
static char message_buf[256];
static struct text message = {.buf = message_buf, .size = sizeof(message_buf) - 1};
static uint32_t crashed;  /* taken by the first CPU that gets here */
static uint32_t dumping;  /* 1 between FW_PANIC_BEGIN and the last panic call */
static uint32_t stopping; /* 1 once cpu.park is set for all CPUs; read by crash_join() */

void crash_refused(void)
{
	con_printf("stub: the VMM refused the panic call, status %x\n", (uint32_t)block.h.status);
	power_off(POWER_OFF_BROKEN);
}

/* The way out without firmware calls: QEMU's pvpanic, bit 0 = panicked, then power off. */
static _Noreturn void crash_without_firmware(void)
{
	con_flush();
	crash_mark_set();
	out8(PORT_PVPANIC, 1);
	power_off(POWER_OFF_BROKEN);
}

static void set_message(struct fw_panic *p, const char *string, size_t len)
{
	p->string = (fw_gpa_t)string;
	p->string_len = (uint32_t)len;
}

void crash_again(struct cpu *cpu)
{
	static struct fw_panic last __attribute__((aligned(FW_BLOCK_ALIGN)));
	static const char string[] = "fault inside the crash path";
	static uint32_t entered;

	while (__atomic_exchange_n(&entered, 1, __ATOMIC_ACQ_REL)) /* another CPU makes the call */
		cpu_relax();
	last.cpu = cpu->id;
	set_message(&last, string, sizeof(string) - 1);
	fw_call(&last, FW_PANIC, sizeof(last));
	crash_without_firmware();
}

/* Bits of a page fault's error code (Intel SDM vol. 3A, figure 4-12) */
static const char *page_access(uint64_t error)
{
	if (error & 16)
		return "execution";
	return error & 2 ? "write" : "read";
}

static void describe(const struct cpu *cpu)
{
	const struct fw_regs *r = &cpu->regs;

	if (cpu->panic_string) {
		text_printf(&message, "%s", cpu->panic_string);
		return;
	}
	if (r->vector == VECTOR_PAGE_FAULT)
		text_printf(&message, "%s: %s of 0x%lx",
			r->cr2 < PAGE_BYTES ? "null pointer dereference" : "page fault",
			page_access(r->error), r->cr2);
	else if (r->vector < ARRAY_LEN(vector_names))
		text_printf(&message, "%s", vector_names[r->vector]);
	else
		text_printf(&message, "exception %u", r->vector);
	text_printf(&message, " at rip 0x%lx", r->rip);
}

/* The registers that @cpu will hold when the VMM stops it: park.S loads exactly these. */
static void set_park(struct cpu *cpu)
{
	for (uint32_t i = 0; i < PARK_NR; i++)
		cpu->park[i] = PARK_VALUE | i << 16 | cpu->id;
	cpu->park[PARK_RDI] = (uint64_t)cpu;
	cpu->park[PARK_RSP] = (uint64_t)cpu + CPU_CRASH_TOP - 8;
	cpu->park_next = (uint64_t)crash_park_loop;
}

static void print_regs(const struct fw_regs *r)
{
	if (r->vector == NO_VECTOR)
		con_printf("stub: regs cpu=%u vector=none", r->cpu);
	else
		con_printf("stub: regs cpu=%u vector=%u", r->cpu, r->vector);
	con_printf(" error=0x%lx rip=0x%lx rflags=0x%lx", r->error, r->rip, r->rflags);
	con_printf(" cs=0x%lx ss=0x%lx cr2=0x%lx cr3=0x%lx\n", r->cs, r->ss, r->cr2, r->cr3);
	con_printf("stub: regs cpu=%u rax=0x%lx rbx=0x%lx rcx=0x%lx rdx=0x%lx", r->cpu, r->rax, r->rbx,
		r->rcx, r->rdx);
	con_printf(" rsi=0x%lx rdi=0x%lx rbp=0x%lx rsp=0x%lx\n", r->rsi, r->rdi, r->rbp, r->rsp);
	con_printf("stub: regs cpu=%u r8=0x%lx r9=0x%lx r10=0x%lx r11=0x%lx", r->cpu, r->r8, r->r9, r->r10,
		r->r11);
	con_printf(" r12=0x%lx r13=0x%lx r14=0x%lx r15=0x%lx\n", r->r12, r->r13, r->r14, r->r15);
}

static void print_park(const struct cpu *cpu, const char *first, const char *last)
{
	con_printf("stub: cpu %u at-panic", cpu->id);
	for (uint32_t i = 0; i < PARK_NR; i++)
		con_printf(" %s=0x%lx", reg_names[i], cpu->park[i]);
	con_printf(" cs=0x%x ss=0x%x cr3=0x%lx rip=0x%lx-0x%lx\n", SEL_USER_CODE, SEL_USER_DATA,
		(uint64_t)boot_pml4, (uint64_t)first, (uint64_t)last);
}

/* Everything about the last panic call is known from here on: says what its registers will be. */
static void announce(struct cpu *self)
{
	con_flush();
	if (!machine.firmware)
		crash_without_firmware();
	set_park(self);
	self->park[PARK_RAX] = fw_prepare(&block, FW_PANIC, sizeof(block));
	self->park[PARK_RDX] = FW_PORT;
	print_park(self, crash_out_first, crash_out_last);
	con_flush();
}

/* The last panic call. */
static _Noreturn void call_out(struct cpu *self)
{
	fw_prepare(&block, FW_PANIC, sizeof(block));
	crash_out(self);
	__builtin_unreachable();
}

void crash_early(const char *string)
{
	con_printf("stub: panic: cpu 0: %s\n", string);
	set_message(&block, string, str_len(string));
	announce(&bsp_cpu);
	call_out(&bsp_cpu);
}

/* All CPUs but @self to crash_park(), bounded in time. */
static void stop_others(const struct cpu *self)
{
	uint64_t end;

	__atomic_store_n(&stopping, 1, __ATOMIC_SEQ_CST); /* crash_join() */
	smp_stop_others();
	end = tsc_after_ms(PARK_MS);
	for (uint32_t id = 0; id < MAX_CPUS; id++) {
		struct cpu *cpu = cpu_table[id];

		if (!cpu || cpu == self)
			continue;
		/* pairs with the store in park.S */
		while (!__atomic_load_n(&cpu->parked, __ATOMIC_ACQUIRE) && read_tsc() < end)
			cpu_relax();
	}
}

#define CLAIM(field) (block.field = crash_plan.claims.field ? crash_plan.claims.field : block.field)

static void apply_claims(void)
{
	CLAIM(string);
	CLAIM(string_len);
	CLAIM(regs);
	CLAIM(nr_regs);
	CLAIM(page_table);
	CLAIM(page_desc);
	CLAIM(nr_page_desc);
	CLAIM(select);
	CLAIM(nr_select);
}

/* Fills in the panic block: metadata, and the saved registers with those of @self first. */
static void collect(const struct cpu *self)
{
	uint32_t n = 0;

	saved_regs[n++] = self->regs;
	for (uint32_t id = 0; id < MAX_CPUS; id++) {
		const struct cpu *cpu = cpu_table[id];

		if (cpu && cpu != self && cpu->parked && cpu->regs_valid && n < FW_PANIC_REGS_MAX)
			saved_regs[n++] = cpu->regs;
	}
	block.tsc = read_tsc();
	block.time_ns = clock_read(block.tsc);
	block.cpu = self->id;
	set_message(&block, message.buf, message.len);
	block.nr_regs = n;
	block.regs = (fw_gpa_t)saved_regs;
	block.page_table = (fw_gpa_t)boot_pml4;
	block.page_desc = (fw_gpa_t)mem.desc;
	block.nr_page_desc = mem.nr_desc;
	apply_claims();
}

void crash_join(void)
{
	if (__atomic_load_n(&stopping, __ATOMIC_SEQ_CST)) /* stop_others() */
		gate(GATE_PARK, 0, 0);
}

static void print_others(const struct cpu *self)
{
	for (uint32_t id = 0; id < MAX_CPUS; id++) {
		const struct cpu *cpu = cpu_table[id];

		if (!cpu || cpu == self)
			continue;
		if (cpu->parked)
			print_park(cpu, crash_park_first, crash_park_last);
		else
			con_printf("stub: cpu %u did not park\n", id);
	}
}

/* If the VMM wants this guest to dump, it does.  The last panic call says whether it has. */
static void dump_by_itself(struct cpu *self)
{
	const struct dump_driver *driver = dump_driver_find();
	int32_t status;

	if (!driver)
		return;
	block.flags = FW_PANIC_BEGIN;
	status = fw_call(&block, FW_PANIC, sizeof(block));
	block.flags = 0;
	if (status != FW_OK) {
		con_printf("stub: the VMM is to dump after all, status %d\n", status);
		con_flush();
		return;
	}
	__atomic_store_n(&dumping, 1, __ATOMIC_SEQ_CST); /* crash_entry() of a CPU that helps */
	if (crash_plan.before_dump)
		crash_plan.before_dump();
	if (dump_run(driver, self))
		block.flags = FW_PANIC_END;
}

void crash_entry(struct cpu *self)
{
	if (__atomic_load_n(&dumping, __ATOMIC_SEQ_CST))
		crash_again(self);
	if (__atomic_exchange_n(&crashed, 1, __ATOMIC_ACQ_REL))
		for (;;) /* another CPU was first: its stop IPI takes this one to crash_park() */
			cpu_relax();
	for (uint32_t id = 0; id < MAX_CPUS; id++)
		if (cpu_table[id])
			set_park(cpu_table[id]);
	stop_others(self);
	describe(self);
	con_new_line();
	message.buf[message.len] = '\0';
	con_printf("stub: panic: cpu %u: %s\n", self->id, message.buf);
	print_regs(&self->regs);
	collect(self);
	crash_plan.block = &block;
	if (crash_plan.beside)
		crew_send(crash_plan.beside); /* its registers are unknown from now on */
	print_others(self);
	announce(self);
	dump_by_itself(self);
	call_out(self);
}
