/* SPDX-License-Identifier: Apache-2.0 */
/* dump/linux/signature.c - see signature.h */
#include "dump/linux/signature.h"

#include "dump/base/num.h"
#include "dump/linux/signature_text.h"

#include <stdio.h>
#include <string.h>

/* kernel/panic.c; of a panic's last line "---[ end Kernel panic" only what is before it counts */
static const char panic_mark[] = "Kernel panic - not syncing: ";
static const char end_mark[] = "---[ end ";

/* our choices: lines of the log before a panic that tell of its cause; of one oops; before the line with the trap */
#define CAUSE_LINES 400
#define OOPS_LINES 200
#define TRAP_LINES 16
#define FRAMES 3

/* Panics that say what another line says better: their beginnings. */
static const char *const echoes[] = {"Fatal exception", "panic_on_", "kernel: panic_on_",
	"KASAN: panic_on_", "KFENCE: panic_on_", "UBSAN: panic_on_", "KCSAN: panic_on_",
	"hung_task: ", "softlockup: ", "Hard LOCKUP", "RCU Stall", "scheduling while atomic",
	"Kernel stack overflow", "Attempted to kill init!", "Aiee, killing interrupt handler",
	"Attempted to kill the idle task"};

/* Functions that report, that lead to a report, or that wait: where it happened is behind them. */
static const char *const reporters[] = {"dump_stack_lvl", "dump_stack", "show_stack", "panic", "vpanic",
	"__warn", "report_bug", "handle_bug", "warn_slowpath_fmt", "__warn_printk", "die", "oops_end",
	"no_context", "page_fault_oops", "kernelmode_fixup_or_oops", "bad_area_nosemaphore",
	"do_user_addr_fault", "exc_page_fault", "exc_general_protection", "exc_invalid_op",
	"exc_double_fault", "print_report", "print_address_description", "kasan_report",
	"kasan_check_range", "__might_resched", "__might_sleep", "ubsan_epilogue", "watchdog_timer_fn",
	"check_panic_on_warn", "nmi_panic"};
static const char *const waiters[] = {"context_switch", "__schedule", "schedule", "schedule_timeout",
	"io_schedule", "schedule_preempt_disabled", "__schedule_loop"};

struct search {
	uint64_t nr;
	signature_line_fn *line;
	void *arg;
	char text[SIGNATURE_LINE_MAX];
};

static const char *get(struct search *search, uint64_t index)
{
	if (!search->line(search->arg, index, search->text))
		search->text[0] = '\0';
	search->text[SIGNATURE_LINE_MAX - 1] = '\0';
	return search->text;
}

static bool is_one_of(const char *name, const char *const *names, size_t nr)
{
	for (size_t i = 0; i < nr; i++)
		if (!strcmp(name, names[i]))
			return true;
	return false;
}

/* ---- where it began ------------------------------------------------------------------------------------- */

/* The newest panic's line, and its text.  search->nr: there is none. */
static uint64_t find_panic(struct search *search, char text[SIGNATURE_LINE_MAX])
{
	for (uint64_t i = search->nr; i-- > 0;) {
		const char *line = get(search, i), *at = strstr(line, panic_mark);

		if (!at || strstr(line, end_mark))
			continue;
		snprintf(text, SIGNATURE_LINE_MAX, "%s", at + strlen(panic_mark));
		return i;
	}
	return search->nr;
}

static bool is_echo(const char *panic)
{
	for (size_t i = 0; i < ARRAY_LEN(echoes); i++)
		if (!strncmp(panic, echoes[i], strlen(echoes[i])))
			return true;
	return false;
}

/* Of a trap at @index: the line shortly before it that says more. */
static uint64_t find_stronger(struct search *search, uint64_t index, struct crash_line *ret)
{
	struct crash_line found;

	for (uint64_t i = index; i-- > 0 && index - i < TRAP_LINES;) {
		const char *line = get(search, i);

		if (strstr(line, "Call Trace:") || strstr(line, end_mark))
			break;
		if (signature_classify(line, &found) && found.weight == CRASH_STRONG) {
			found.again = ret->again;
			*ret = found;
			return i;
		}
	}
	return index;
}

/* The newest crash before line @end that is worth @weight; @end: there is none. */
static uint64_t find_start(
	struct search *search, uint64_t end, enum crash_weight weight, struct crash_line *ret)
{
	uint64_t first = end;
	struct crash_line found;

	for (uint64_t i = end; i-- > 0 && end - i < CAUSE_LINES;) {
		if (!signature_classify(get(search, i), &found) || found.weight < weight)
			continue;
		/* an oops that an oops has led to: the first one counts, if it is still there */
		if (first != end && found.weight < CRASH_WEAK)
			continue;
		if (found.weight == CRASH_WEAK)
			i = find_stronger(search, i, &found);
		*ret = found;
		first = i;
		if (!found.again)
			break;
	}
	return first;
}

/* ---- where it happened ---------------------------------------------------------------------------------- */

struct place {
	bool waits;
	bool in_trace, ended;
	char function[SIGNATURE_NAME_MAX];
	char frames[FRAMES][SIGNATURE_NAME_MAX];
	unsigned nr;
};

static void take_frame(struct place *place, const char *line)
{
	char name[SIGNATURE_NAME_MAX];

	if (place->nr >= FRAMES || !signature_frame(line, name) ||
		is_one_of(name, reporters, ARRAY_LEN(reporters)) || !strncmp(name, "asm_exc_", 8) ||
		(place->waits && is_one_of(name, waiters, ARRAY_LEN(waiters))))
		return;
	/* a sanitizer's own functions */
	if (!strncmp(name, "__asan_", 7) || !strncmp(name, "__ubsan_", 8) || !strncmp(name, "kasan_", 6))
		return;
	memcpy(place->frames[place->nr++], name, sizeof(name));
}

static void look_at(struct place *place, const char *line)
{
	static const char rip[] = "RIP: 0010:";
	const char *at = strstr(line, rip);

	if (at && !place->in_trace && !place->function[0])
		(void)signature_function(at + strlen(rip), place->function);
	else if (strstr(line, "Call Trace:"))
		place->in_trace = true;
	else if (place->in_trace &&
		 (strstr(line, "</TASK>") || strstr(line, end_mark) || strstr(line, "RIP: 0033:")))
		place->ended = true;
	else if (place->in_trace)
		take_frame(place, line);
}

/* From line @start on, until its call trace ends. */
static void find_place(struct search *search, uint64_t start, struct place *place)
{
	uint64_t end = u64_min(search->nr, start + OOPS_LINES);

	for (uint64_t i = start; i < end && !place->ended; i++)
		look_at(place, get(search, i));
}

/* ---- the result ----------------------------------------------------------------------------------------- */

static void add(char *text, size_t size, const char *more)
{
	size_t len = strlen(text);

	snprintf(text + len, size - len, "%s%s", len ? "|" : "", more);
}

static void write_result(struct signature *ret, const char *kind, const struct place *place, bool name_it)
{
	const char *where = place->function[0] ? place->function : place->nr ? place->frames[0] : "";
	unsigned left = FRAMES;

	snprintf(ret->title, sizeof(ret->title), "%s%s%s", kind, name_it && *where ? " in " : "",
		name_it ? where : "");
	add(ret->text, sizeof(ret->text), kind);
	if (place->function[0]) {
		add(ret->text, sizeof(ret->text), place->function);
		left--;
	}
	for (unsigned i = 0; i < place->nr && left; i++) {
		if (!strcmp(place->frames[i], place->function))
			continue;
		add(ret->text, sizeof(ret->text), place->frames[i]);
		left--;
	}
}

void signature_make(struct signature *ret, uint64_t nr, signature_line_fn *line, void *arg)
{
	struct search search = {.nr = nr, .line = line, .arg = arg};
	char panic[SIGNATURE_LINE_MAX], kind[sizeof(ret->title)];
	struct place place = {.waits = false};
	uint64_t at, start;
	struct crash_line found = {.weight = CRASH_NONE};

	memset(ret, 0, sizeof(*ret));
	at = find_panic(&search, panic);
	start = at == nr || is_echo(panic)
			? find_start(&search, at, at == nr ? CRASH_WEAK : CRASH_WARNING, &found)
			: at;
	if (start != at) {
		memcpy(place.function, found.function, sizeof(place.function));
		place.waits = found.waits;
		find_place(&search, start, &place);
		/* a file's name says where, and a race has two places */
		write_result(
			ret, found.kind, &place, !strstr(found.kind, " in ") && !strstr(found.kind, " / "));
	} else if (at != nr) {
		snprintf(kind, sizeof(kind), "Kernel panic: ");
		signature_normalise(panic, kind + strlen(kind), sizeof(kind) - strlen(kind));
		find_place(&search, at, &place);
		place.function[0] = '\0'; /* where the panicking task came from user space: of no use */
		write_result(ret, kind, &place, false);
	}
}
