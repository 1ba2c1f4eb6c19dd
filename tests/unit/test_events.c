/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/test_events.c - vmm/base/events.c: every line is one JSON object, whatever a guest says.
 *
 * The parser below knows the JSON of RFC 8259 that an event may have (an object of strings, unsigned
 * integers and booleans) and nothing of the writer.
 */
#include "dump/base/cleanup.h"
#include "dump/base/io.h"
#include "tests/unit/scratch.h"
#include "tests/unit/suites.h"
#include "vmm/base/events.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/stat.h>

#define FIELDS_MAX 128
#define TEXT_MAX 8192

/* One member of a parsed object; a string's value is decoded to one byte a character. */
struct member {
	char name[64];
	char kind; /* 's' string, 'n' number, 'b' boolean */
	uint64_t number;
	char *text; /* owned */
};

struct object {
	size_t nr;
	struct member members[FIELDS_MAX];
};

/* Parses the string literal at *@at, decodes at most @size - 1 bytes of it into @ret. */
static void parse_string(const char **at, char *ret, size_t size)
{
	size_t len = 0;

	ck_assert_int_eq(*(*at)++, '"');
	while (**at != '"') {
		unsigned c = (unsigned char)*(*at)++;

		ck_assert_msg(c >= 0x20 && c < 0x7f, "byte 0x%02x in a string", c);
		if (c == '\\') {
			c = (unsigned char)*(*at)++;
			if (c == 'u') {
				ck_assert_uint_eq(strspn(*at, "0123456789abcdefABCDEF") >= 4, 1);
				ck_assert_int_eq(sscanf(*at, "%4x", &c), 1);
				*at += 4;
			} else {
				ck_assert_msg(c == '"' || c == '\\', "escape \\%c", (int)c);
			}
		}
		ck_assert_uint_lt(len, size - 1);
		ret[len++] = (char)c;
	}
	ret[len] = '\0';
	(*at)++;
}

static void parse_value(const char **at, struct member *m)
{
	if (**at == '"') {
		char text[TEXT_MAX];

		m->kind = 's';
		parse_string(at, text, sizeof(text));
		m->text = strdup(text);
	} else if (!strncmp(*at, "true", 4) || !strncmp(*at, "false", 5)) {
		m->kind = 'b';
		m->number = **at == 't';
		*at += m->number ? 4 : 5;
	} else {
		char *end;

		m->kind = 'n';
		ck_assert_msg(**at >= '0' && **at <= '9', "no value: %.20s", *at);
		ck_assert_msg(**at != '0' || (*at)[1] < '0' || (*at)[1] > '9', "a number with a leading 0");
		m->number = strtoull(*at, &end, 10);
		*at = end;
	}
}

/* Parses one line, which ends with a newline; returns where the next one begins. */
static const char *parse_line(const char *at, struct object *ret)
{
	memset(ret, 0, sizeof(*ret));
	ck_assert_int_eq(*at++, '{');
	do {
		struct member *m = &ret->members[ret->nr++];

		ck_assert_uint_le(ret->nr, FIELDS_MAX);
		parse_string(&at, m->name, sizeof(m->name));
		ck_assert_int_eq(*at++, ':');
		parse_value(&at, m);
	} while (*at++ == ',');
	ck_assert_int_eq(at[-1], '}');
	ck_assert_int_eq(*at++, '\n');
	return at;
}

static void object_free(struct object *object)
{
	for (size_t i = 0; i < object->nr; i++)
		free(object->members[i].text);
}

static const struct member *member(const struct object *object, const char *name)
{
	for (size_t i = 0; i < object->nr; i++)
		if (!strcmp(object->members[i].name, name))
			return &object->members[i];
	return NULL;
}

/* ---- the log ------------------------------------------------------------------------------------ */

static struct scratch scratch;
static struct events events;
static char path[128];

static void setup(void)
{
	scratch_init(&scratch);
	ck_assert_int_eq(events_open(&events, scratch_path(&scratch, "events", path, sizeof(path))), 0);
}

static void teardown(void)
{
	events_close(&events);
	scratch_fini(&scratch);
}

static char *log_text(void)
{
	autoclose int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	char *text;

	outlet_flush(&events.out, 10 * NSEC_PER_SEC);
	ck_assert(fd >= 0 && !fstat(fd, &st));
	text = calloc(1, (size_t)st.st_size + 1);
	ck_assert_ptr_nonnull(text);
	ck_assert_int_eq(io_pread_full(fd, text, (size_t)st.st_size, 0), 0);
	return text;
}

/* Parses the log, which must be one line. */
static void parse_log(struct object *object)
{
	autofree char *text = log_text();

	ck_assert_int_eq(*parse_line(text, object), '\0');
}

START_TEST(an_event_has_name_time_generation_and_its_fields_in_order)
{
	struct object object;

	EVENT_AT(&events, "crash", 81230011, 7, EV_STR("reason", "panic"), EV_U64("cpu", 0),
		EV_U64("max", UINT64_MAX), EV_BOOL("yes", true), EV_BOOL("no", false),
		EV_STR("none", NULL));
	parse_log(&object);
	ck_assert_uint_eq(object.nr, 9);
	ck_assert_str_eq(object.members[0].name, "event");
	ck_assert_str_eq(object.members[0].text, "crash");
	ck_assert_str_eq(object.members[1].name, "ns");
	ck_assert_uint_eq(object.members[1].number, 81230011);
	ck_assert_str_eq(object.members[2].name, "generation");
	ck_assert_uint_eq(object.members[2].number, 7);
	ck_assert_str_eq(object.members[3].name, "reason");
	ck_assert_str_eq(object.members[3].text, "panic");
	ck_assert_int_eq(object.members[4].kind, 'n');
	ck_assert_uint_eq(object.members[5].number, UINT64_MAX);
	ck_assert(object.members[6].kind == 'b' && object.members[6].number);
	ck_assert(object.members[7].kind == 'b' && !object.members[7].number);
	ck_assert_str_eq(object.members[8].text, "");
	object_free(&object);
}
END_TEST

START_TEST(an_event_without_fields_carries_the_monotonic_time)
{
	uint64_t before = clock_mono_ns(), ns;
	struct object object;

	EVENT(&events, "ready", 3);
	parse_log(&object);
	ck_assert_uint_eq(object.nr, 3);
	ns = member(&object, "ns")->number;
	ck_assert(ns >= before && ns <= clock_mono_ns());
	object_free(&object);
}
END_TEST

START_TEST(every_byte_in_a_string_comes_back_as_itself)
{
	struct object object;
	char all[256];

	for (int i = 1; i < 256; i++)
		all[i - 1] = (char)i;
	all[255] = '\0';
	EVENT_AT(&events, "x", 1, 0, EV_STR("all", all));
	parse_log(&object);
	ck_assert_str_eq(member(&object, "all")->text, all);
	object_free(&object);
}
END_TEST

START_TEST(a_string_that_looks_like_json_stays_a_string)
{
	static const char hostile[] = "\",\"event\":\"power-off\"}\n{\"event\":\"fake\"}\\";
	struct object object;

	EVENT_AT(&events, "panic", 1, 0, EV_STR("string", hostile));
	parse_log(&object); /* one line */
	ck_assert_uint_eq(object.nr, 4);
	ck_assert_str_eq(member(&object, "event")->text, "panic");
	ck_assert_str_eq(member(&object, "string")->text, hostile);
	object_free(&object);
}
END_TEST

START_TEST(the_longest_panic_string_fits_even_if_every_byte_is_escaped)
{
	struct object object;
	char text[1025];

	memset(text, 0x01, sizeof(text) - 1);
	text[1024] = '\0';
	EVENT_AT(&events, "crash", UINT64_MAX, UINT32_MAX, EV_STR("reason", "panic"),
		EV_STR("string", text));
	parse_log(&object);
	ck_assert_str_eq(member(&object, "string")->text, text);
	object_free(&object);
}
END_TEST

START_TEST(a_field_that_does_not_fit_is_left_out_and_those_around_it_stay)
{
	struct object object;
	char text[9000];

	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	EVENT_AT(&events, "x", 1, 0, EV_U64("before", 1), EV_STR("long", text), EV_U64("after", 2));
	parse_log(&object);
	ck_assert_uint_eq(member(&object, "before")->number, 1);
	ck_assert_ptr_null(member(&object, "long"));
	ck_assert_uint_eq(member(&object, "after")->number, 2);
	object_free(&object);
}
END_TEST

/* Around the limit the end of the line is closest to the end of the buffer. */
START_TEST(every_length_around_the_limit_gives_a_whole_line)
{
	char text[8192 + 16];
	bool fitted = false, dropped = false;
	const char *at;

	for (size_t len = 8100; len < sizeof(text) - 1; len++) {
		memset(text, 'y', len);
		text[len] = '\0';
		EVENT_AT(&events, "x", 1, 0, EV_STR("t", text), EV_U64("n", 5), EV_BOOL("b", true));
	}
	autofree char *log = log_text();

	for (at = log; *at;) {
		struct object object;

		at = parse_line(at, &object);
		ck_assert(object.nr >= 3);
		*(member(&object, "t") ? &fitted : &dropped) = true;
		object_free(&object);
	}
	ck_assert(fitted && dropped);
}
END_TEST

static void *emit_many(void *opaque)
{
	const uint32_t *generation = opaque;

	for (uint64_t i = 0; i < 500; i++)
		EVENT_AT(&events, "tick", i, *generation, EV_STR("text", "a line of several words"));
	return NULL;
}

START_TEST(lines_of_several_threads_do_not_mix)
{
	static const uint32_t generations[4] = {0, 1, 2, 3};
	uint64_t next[4] = {0};
	pthread_t threads[4];

	for (int i = 0; i < 4; i++)
		ck_assert(
			!pthread_create(&threads[i], NULL, emit_many, (void *)(uintptr_t)&generations[i]));
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	autofree char *log = log_text();

	for (const char *at = log; *at;) {
		struct object object;

		at = parse_line(at, &object);
		ck_assert_uint_eq(
			member(&object, "ns")->number, next[member(&object, "generation")->number]++);
		object_free(&object);
	}
	for (int i = 0; i < 4; i++)
		ck_assert_uint_eq(next[i], 500);
}
END_TEST

START_TEST(a_log_is_appended_to_and_made_for_its_owner_alone)
{
	autofree char *log = NULL;
	struct object object;
	struct stat st;

	EVENT(&events, "one", 0);
	events_close(&events);
	ck_assert_int_eq(events_open(&events, path), 0);
	EVENT(&events, "two", 1);
	log = log_text();
	object_free((parse_line(log, &object), &object));
	ck_assert_int_eq(*parse_line(strchr(log, '\n') + 1, &object), '\0');
	ck_assert_str_eq(member(&object, "event")->text, "two");
	object_free(&object);
	ck_assert(!stat(path, &st) && (st.st_mode & 07777) == 0600);
}
END_TEST

START_TEST(without_a_log_events_go_nowhere)
{
	struct events none;

	ck_assert_int_eq(events_open(&none, NULL), 0);
	EVENT(&none, "x", 0, EV_U64("n", 1));
	events_close(&none);
	events_close(&none);
	ck_assert_int_eq(events_open(&none, scratch.dir), -EISDIR);
	EVENT(&none, "x", 0);
}
END_TEST

START_TEST(a_full_disk_loses_events_and_their_number_is_told)
{
	autofree char *log = NULL;
	struct events full;

	stderr_capture();
	ck_assert_int_eq(events_open(&full, "/dev/full"), 0);
	for (int i = 0; i < 3; i++)
		EVENT(&full, "x", 0);
	events_close(&full);
	log = stderr_text();
	ck_assert_ptr_nonnull(strstr(log, "minivmm: warning: event log: 3 events were lost\n"));
}
END_TEST

static char late[EVENTS_BUFFER * 2];

/* Reads the FIFO to its end, in the second half of the test. */
static void *read_late(void *opaque)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC); /* waits for the writer, who tries again */
	size_t len = 0;

	(void)opaque;
	for (ssize_t n; fd >= 0 && (n = read(fd, late + len, sizeof(late) - 1 - len)) > 0;)
		len += (size_t)n;
	close(fd);
	return NULL;
}

START_TEST(where_events_are_missing_stands_one_that_counts_them)
{
	const unsigned nr = 5000; /* more than the buffer holds */
	struct events fifo;
	struct object object;
	uint64_t seen = 0, lost = 0;
	pthread_t reader;

	scratch_path(&scratch, "fifo", path, sizeof(path));
	ck_assert_int_eq(mkfifo(path, 0600), 0);
	ck_assert_int_eq(events_open(&fifo, path), 0); /* nobody reads it yet */
	for (unsigned i = 0; i < nr; i++)
		EVENT(&fifo, "x", 0, EV_STR("why", "nobody reads"));
	ck_assert_int_eq(pthread_create(&reader, NULL, read_late, NULL), 0);
	for (int i = 0; i < 5000 && __atomic_load_n(&fifo.out.failing, __ATOMIC_RELAXED); i++)
		usleep(1000);
	outlet_flush(&fifo.out, 10 * NSEC_PER_SEC);
	EVENT(&fifo, "last", 0);
	events_close(&fifo);
	pthread_join(reader, NULL);
	for (const char *at = late; *at;) {
		at = parse_line(at, &object);
		seen += !strcmp(member(&object, "event")->text, "x");
		if (!strcmp(member(&object, "event")->text, "lost"))
			lost += member(&object, "count")->number;
		ck_assert(*at || !strcmp(member(&object, "event")->text, "last"));
		object_free(&object);
	}
	ck_assert_uint_gt(lost, 0);
	ck_assert_uint_eq(seen + lost, nr);
	scratch_path(&scratch, "events", path, sizeof(path));
}
END_TEST

Suite *suite_events(void)
{
	Suite *suite = suite_create("events");
	TCase *tc = tcase_create("events");

	tcase_set_timeout(tc, 20);
	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, an_event_has_name_time_generation_and_its_fields_in_order);
	tcase_add_test(tc, an_event_without_fields_carries_the_monotonic_time);
	tcase_add_test(tc, every_byte_in_a_string_comes_back_as_itself);
	tcase_add_test(tc, a_string_that_looks_like_json_stays_a_string);
	tcase_add_test(tc, the_longest_panic_string_fits_even_if_every_byte_is_escaped);
	tcase_add_test(tc, a_field_that_does_not_fit_is_left_out_and_those_around_it_stay);
	tcase_add_test(tc, every_length_around_the_limit_gives_a_whole_line);
	tcase_add_test(tc, lines_of_several_threads_do_not_mix);
	tcase_add_test(tc, a_log_is_appended_to_and_made_for_its_owner_alone);
	tcase_add_test(tc, without_a_log_events_go_nowhere);
	tcase_add_test(tc, a_full_disk_loses_events_and_their_number_is_told);
	tcase_add_test(tc, where_events_are_missing_stands_one_that_counts_them);
	suite_add_tcase(suite, tc);
	return suite;
}
