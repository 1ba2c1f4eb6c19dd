/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/supervisor/guest_control.c - what the requests of the control socket do to a guest: commands[] below.
 *
 * Runs in the event loop's thread.  docs/control.md has every command, member and error.
 */
#include "vmm/supervisor/guest_impl.h"

#include "dump/base/io.h"
#include "dump/base/log.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* our choice: a vCPU leaves the guest within a scheduler slice; one that waits for the console takes longer */
#define PAUSE_TIMEOUT_NS (500 * NSEC_PER_MSEC)
/* our choice: dumps that an answer tells of, oldest first */
#define STATUS_DUMPS_MAX 16

/* ---- status --------------------------------------------------------------------------------------- */

static uint64_t since(uint64_t ns)
{
	return ns ? clock_mono_ns() - ns : 0;
}

static void put_vm(struct json *json, struct guest *guest)
{
	const struct vm *vm = guest->recovery.vm;
	uint64_t granted;
	bool waits;

	json_object(json, "vm");
	json_u64(json, "generation", vm->generation);
	json_bool(json, "recovery", vm->recovery);
	json_bool(json, "paused", vm_is_paused(vm));
	json_bool(json, "ready", atomic_load(&vm->ready_ns));
	json_u64(json, "uptime_ns", since(atomic_load(&vm->first_run_ns)));
	json_u64(json, "resident", io_bytes_behind(vm->region.fd));
	handover_look(&guest->handover, vm, &granted, &waits);
	json_u64(json, "granted", granted);
	json_bool(json, "waits_for_memory", waits);
	json_end(json);
}

static const char *dump_state(const struct guest *guest, const struct dump_job *job)
{
	if (job->cancelled)
		return "cancelling";
	if (job->held)
		return crash_dumps_itself(guest, job->generation) ? "by-guest" : "waits-disk";
	return job == jobs_running(&guest->jobs) ? "running" : "queued";
}

static void put_dump(struct json *json, const struct guest *guest, const struct dump_job *job)
{
	uint64_t total = job->last.total ? job->last.total : guest->config->vm.memory;
	uint64_t done = u64_min(job->last.done, total);

	json_object(json, NULL);
	json_u64(json, "generation", job->generation);
	json_text(json, "state", dump_state(guest, job));
	json_text(json, "name", job->name);
	json_u64(json, "percent", done * 100 / total);
	json_u64(json, "done", done);
	json_u64(json, "total", total);
	json_u64(json, "dumped", job->last.dumped);
	json_u64(json, "released", job->last.released);
	json_end(json);
}

static void put_dumps(struct json *json, const struct guest *guest)
{
	uint64_t nr = 0;

	json_array(json, "dumps");
	for (const struct dump_job *job = guest->jobs.list; job; job = job->next)
		if (!job->finished && nr++ < STATUS_DUMPS_MAX)
			put_dump(json, guest, job);
	json_end(json);
	json_u64(json, "dumps_total", nr);
}

/* What is taken of vm.memory + recovery.reserve beside the running VM. */
static void put_budget(struct json *json, struct guest *guest)
{
	struct budget_state state;

	budget_look(&guest->handover.budget, &state);
	json_object(json, "budget");
	json_u64(json, "limit", state.limit);
	json_u64(json, "crashed", state.crashed);
	json_u64(json, "dumps", state.dumps);
	json_u64(json, "other", state.other);
	json_end(json);
}

/* Where others find what the guest asks of its disks, if they may look into this process. */
static void put_disk_load(struct json *json, const struct guest *guest)
{
	char path[64];

	if (guest->around.backends.load_fd < 0)
		return;
	snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)getpid(), guest->around.backends.load_fd);
	json_text(json, "disk_load", path);
}

static void status(struct guest *guest, struct control_request *request, struct json *answer)
{
	const struct config *config = guest->config;
	uint64_t now = clock_mono_ns();

	control_accept(answer, request);
	json_text(answer, "guest", config->vm.name);
	json_text(answer, "version", MINIVMM_VERSION);
	json_u64(answer, "pid", (uint64_t)getpid());
	json_text(answer, "state", guest_state_name(guest->recovery.state));
	json_bool(answer, "stopping", guest->recovery.stopping);
	json_u64(answer, "generation", guest->recovery.generation);
	json_u64(answer, "uptime_ns", since(guest->started_ns));
	json_u64(answer, "memory", config->vm.memory);
	json_u64(answer, "vcpus", config->vm.vcpus);
	json_u64(answer, "recoveries", guest->recovery.loop.recoveries);
	json_u64(answer, "recoveries_max", config->recovery.max);
	if (guest->recovery.state == GUEST_WAITS_BACKOFF)
		json_u64(answer, "recovery_in_ns",
			guest->recovery.due_ns > now ? guest->recovery.due_ns - now : 0);
	if (guest->recovery.vm)
		put_vm(answer, guest);
	put_budget(answer, guest);
	put_disk_load(answer, guest);
	put_dumps(answer, guest);
}

/* ---- the others ------------------------------------------------------------------------------------ */

static void events(struct guest *guest, struct control_request *request, struct json *answer)
{
	(void)guest;
	control_accept(answer, request);
	request->stream = true;
}

/* The running VM, or NULL and a refusal. */
static struct vm *need_vm(struct guest *guest, struct json *answer)
{
	vm_reports_check(guest); /* one that has crashed or ended by now is none */
	if (!guest->recovery.vm)
		control_refuse(answer, "no-vm", "no VM runs now");
	return guest->recovery.vm;
}

static void crash(struct guest *guest, struct control_request *request, struct json *answer)
{
	struct vm *vm = need_vm(guest, answer);

	if (!vm)
		return;
	control_accept(answer, request);
	json_u64(answer, "generation", vm->generation);
	guest_crash_now(guest);
	vm_reports_check(guest);
}

static void pause_vm(struct guest *guest, struct control_request *request, struct json *answer)
{
	struct vm *vm = need_vm(guest, answer);
	uint32_t missing;

	if (!vm)
		return;
	if (vm_is_paused(vm)) {
		control_refuse(answer, "paused", "the VM is paused already");
		return;
	}
	missing = vm_pause(vm, PAUSE_TIMEOUT_NS);
	recovery_paused(&guest->recovery);
	log_info("generation %u: paused", vm->generation);
	EVENT(&guest->around.events, "pause", vm->generation);
	control_accept(answer, request);
	json_u64(answer, "generation", vm->generation);
	json_u64(answer, "not_yet_stopped", missing);
}

static void resume_vm(struct guest *guest, struct control_request *request, struct json *answer)
{
	struct vm *vm = need_vm(guest, answer);

	if (!vm)
		return;
	if (!vm_is_paused(vm)) {
		control_refuse(answer, "not-paused", "the VM is not paused");
		return;
	}
	recovery_resumed(&guest->recovery);
	vm_resume(vm);
	log_info("generation %u: goes on", vm->generation);
	EVENT_AT(&guest->around.events, "resume", guest->recovery.resumed_ns, vm->generation);
	control_accept(answer, request);
	json_u64(answer, "generation", vm->generation);
}

static void stop(struct guest *guest, struct control_request *request, struct json *answer)
{
	uint64_t dumps = 0;
	bool asked = guest_ask_to_stop(guest, "minivmm ctl stop");

	for (const struct dump_job *job = guest->jobs.list; job; job = job->next)
		dumps += !job->finished;
	control_accept(answer, request);
	json_u64(answer, "dumps", dumps);
	json_bool(answer, "waits", dumps && !guest->recovery.abandon);
	json_bool(answer, "button", asked);
}

/* The dump that a request means, or NULL and a refusal. */
static struct dump_job *find_dump(
	struct guest *guest, const struct control_request *request, struct json *answer)
{
	struct dump_job *running = jobs_running(&guest->jobs), *job = running;
	char *end = NULL;
	uint64_t generation;

	if (request->nr_words > 1) {
		generation = strtoull(request->words[1], &end, 10);
		if (*end || generation > UINT32_MAX || request->words[1][0] == '-') {
			control_refuse(answer, "bad-request", "dump-cancel [generation]");
			return NULL;
		}
		job = jobs_find_active(&guest->jobs, (uint32_t)generation);
	} else if (!job) {
		for (job = guest->jobs.list; job && job->finished;)
			job = job->next;
	}
	if (!job)
		control_refuse(answer, "no-dump", "there is no such dump under way");
	else if (job->cancelled)
		control_refuse(answer, "no-dump", "it is being cancelled already");
	else if (job->sent && job != running)
		control_refuse(answer, "queued", "an older dump comes first; this one has not begun");
	else
		return job;
	return NULL;
}

static void dump_cancel(struct guest *guest, struct control_request *request, struct json *answer)
{
	struct dump_job *job = find_dump(guest, request, answer);

	if (!job)
		return;
	control_accept(answer, request);
	json_u64(answer, "generation", job->generation);
	json_text(answer, "name", job->name);
	if (job->held)
		crash_hurry(guest, job->generation);
	jobs_cancel(&guest->jobs, job);
}

/* The command table: one line a command. */
static const struct {
	const char *name;
	size_t words; /* at most, with the command itself */
	void (*run)(struct guest *guest, struct control_request *request, struct json *answer);
} commands[] = {
	{"status", 1, status},
	{"events", 1, events},
	{"crash", 1, crash},
	{"pause", 1, pause_vm},
	{"resume", 1, resume_vm},
	{"stop", 1, stop},
	{"dump-cancel", 2, dump_cancel},
};

static void serve(void *opaque, struct control_request *request, struct json *answer)
{
	for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
		if (strcmp(commands[i].name, request->words[0]))
			continue;
		if (request->nr_words > commands[i].words)
			control_refuse(answer, "bad-request", "the command takes fewer words");
		else
			commands[i].run(opaque, request, answer);
		return;
	}
	control_refuse(answer, "unknown-command",
		"commands: status, events, crash, pause, resume, stop, dump-cancel");
}

int guest_control_open(struct guest *guest)
{
	const char *path = guest->config->vm.control;
	char why[512];
	int err;

	if (!strcmp(path, "none"))
		return 0;
	err = control_open(&guest->control, path, serve, guest, why, sizeof(why));
	if (err) {
		log_error("[vm] control: %s", why);
		return err;
	}
	guest->around.events.opaque = &guest->control;
	guest->around.events.listener = control_event;
	return 0;
}

void guest_control_close(struct guest *guest)
{
	guest->around.events.listener = NULL;
	control_close(&guest->control);
}
