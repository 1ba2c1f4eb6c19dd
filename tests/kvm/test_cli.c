/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/kvm/test_cli.c - the command line: help, messages, exit codes.  Most of it needs no KVM.
 */
#include "tests/kvm/run.h"
#include "tests/kvm/suites.h"

#include <errno.h>
#include <glob.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Writes @text to a new file @name in the run's directory; its path in @path. */
static void make_file(const struct run *run, const char *name, const char *text, char *path, size_t size)
{
	FILE *file;

	snprintf(path, size, "%s/%s", run->dir, name);
	file = fopen(path, "we");
	ck_assert_msg(file, "%s: %s", path, strerror(errno));
	fputs(text, file);
	ck_assert_int_eq(fclose(file), 0);
}

static void expect(const struct output *output, int code, const char *out, const char *err)
{
	ck_assert_msg(output->code == code, "exit code %d, not %d; it said:\n%.1000s%.1000s", output->code,
		code, output->out, output->err);
	ck_assert_msg(
		!out || strstr(output->out, out), "no '%s' in the output:\n%.2000s", out, output->out);
	ck_assert_msg(
		!err || strstr(output->err, err), "no '%s' among the errors:\n%.2000s", err, output->err);
}

/* ---- help ------------------------------------------------------------------------------------ */

/* @key as --help writes it: a section of which there may be several has a name besides. */
static void expect_key(const struct output *help, const char *key)
{
	int section = (int)strcspn(key, ".");
	char named[128];

	snprintf(named, sizeof(named), "%.*s.NAME%s", section, key, key + section);
	expect(help, CODE_OK, strstr(help->out, named) ? named : key, NULL);
}

START_TEST(help_lists_commands_keys_strategies_and_exit_codes)
{
	static const char *const words[] = {"minivmm run CFG", "minivmm check CFG", "minivmm info",
		"vm.memory", "dump.chunk", "recovery.max", "console.output",
		"allowed: ", "default: ", "vmapp", "all  ", "Exit codes:\n  0  ", "\n  1  ", "\n  2  ",
		"\n  3  ", "\n  4  ", "\n  5  ", "\n  6  ", "\n  7  ", "\n  8  ", "\n  9  ",
		"minivmm ctl "};
	struct output help, keys;
	struct run run;

	run_prepare(&run);
	run_minivmm(&run, &help, "--help", NULL);
	for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		expect(&help, CODE_OK, words[i], NULL);
	ck_assert_str_eq(help.err, "");
	/* every key that "check --keys" knows */
	run_minivmm(&run, &keys, "check", "--keys", NULL);
	expect(&keys, CODE_OK, "vm.name\n", NULL);
	for (char *key = strtok(keys.out, "\n"); key; key = strtok(NULL, "\n"))
		expect_key(&help, key);
	run_finish(&run);
}
END_TEST

START_TEST(version_is_one_line)
{
	struct output output;
	struct run run;

	run_prepare(&run);
	run_minivmm(&run, &output, "--version", NULL);
	expect(&output, CODE_OK, "minivmm ", NULL);
	ck_assert_uint_eq(strcspn(output.out, "\n") + 1, strlen(output.out));
	run_finish(&run);
}
END_TEST

/* ---- mistakes on the command line ------------------------------------------------------------ */

static const struct {
	const char *args[5];
	int code;
	const char *err;
} mistakes[] = {
	{{NULL}, CODE_USAGE, "--help"}, {{"explode"}, CODE_USAGE, "no command 'explode'"},
	{{"run"}, CODE_USAGE, "expected one configuration file"},
	{{"run", "a.cfg", "b.cfg"}, CODE_USAGE, "expected one configuration file"},
	{{"run", "--frob", "a.cfg"}, CODE_USAGE, "--frob"},
	{{"run", "a.cfg", "--events"}, CODE_USAGE, "--events"}, {{"check", "--frob"}, CODE_USAGE, "--frob"},
	{{"info", "a", "b"}, CODE_USAGE, "at most one directory"},
	{{"run", "/no-such-directory/a.cfg"}, CODE_CONFIG, "/no-such-directory/a.cfg: No such file"},
	{{"check", "/no-such-directory/a.cfg"}, CODE_CONFIG, "/no-such-directory/a.cfg: No such file"},
	{{"check", "/"}, CODE_CONFIG, "/: "},
	{{"check", "/proc/self/mem"}, CODE_CONFIG, "/proc/self/mem: cannot be read"}, /* gives EIO */
};

START_TEST(a_mistake_on_the_command_line_is_named_and_ends_with_its_code)
{
	struct output output;
	struct run run;

	run_prepare(&run);
	run_minivmm(&run, &output, mistakes[_i].args[0], mistakes[_i].args[1], mistakes[_i].args[2],
		mistakes[_i].args[3], NULL);
	expect(&output, mistakes[_i].code, NULL, mistakes[_i].err);
	run_finish(&run);
}
END_TEST

/* ---- mistakes in the configuration ----------------------------------------------------------- */

/* Each is line 3 of a file whose lines 1 and 2 are right. */
static const struct {
	const char *line;
	const char *words[4]; /* each in the message, which also names file and line */
} wrong_lines[] = {
	{"memroy = 64M", {"[vm]", "memroy", "it has: name, kernel, initrd, cmdline, memory"}},
	{"memory = 3", {"[vm] memory", "'3'", "16M to 128G", "multiple of 2M"}},
	{"memory = lots", {"[vm] memory", "'lots'", "16M to 128G"}},
	{"memory = 99999999999999999999G", {"[vm] memory", "99999999999999999999G", "16M to 128G"}},
	{"vcpus = 0", {"[vm] vcpus", "'0'", "1 to 64"}},
	{"vcpus = -1", {"[vm] vcpus", "'-1'", "1 to 64"}},
	{"watchdog = 5 parsecs", {"[vm] watchdog", "'5 parsecs'", "0 to "}},
	{"name = ../up", {"[vm] name", "'../up'", "letters, digits"}},
	{"kernel = again", {"[vm] kernel", "already set in line 2"}},
	{"[dmup]\nenabled = no", {"[dmup]", "vm, dump, recovery, console"}},
	{"[dump]\nchunk = 3M", {"[dump] chunk", "'3M'", "64K to 1G", "a power of two"}},
	{"[dump]\nstrategy = magic", {"[dump] strategy", "'magic'", "vmapp"}},
	{"[recovery]\nenabled = maybe", {"[recovery] enabled", "'maybe'", "yes or no"}},
	{"what is this", {"neither"}},
};

START_TEST(a_mistake_in_the_configuration_is_named_with_file_line_found_and_allowed)
{
	char text[512], path[300], where[320];
	struct output output;
	struct run run;

	run_prepare(&run);
	snprintf(text, sizeof(text), "[vm]\nkernel = nowhere\n%s\n", wrong_lines[_i].line);
	make_file(&run, "wrong.cfg", text, path, sizeof(path));
	/* the key stands in the line after its section, if it brings one */
	snprintf(where, sizeof(where), "%s:%d: ", path, wrong_lines[_i].line[0] == '[' ? 4 : 3);
	for (int i = 0; i < 2; i++) {
		run_minivmm(&run, &output, i ? "run" : "check", path, NULL);
		expect(&output, CODE_CONFIG, NULL, where);
		for (size_t j = 0; j < 4 && wrong_lines[_i].words[j]; j++)
			expect(&output, CODE_CONFIG, NULL, wrong_lines[_i].words[j]);
		ck_assert_str_eq(output.out, "");
	}
	run_finish(&run);
}
END_TEST

START_TEST(every_mistake_of_a_file_is_told_in_one_run)
{
	struct output output;
	char path[300];
	struct run run;

	run_prepare(&run);
	make_file(&run, "wrong.cfg", "[vm]\nvcpus = 0\nmemory = 1\nfoo = bar\n[nosuch]\nx = y\n", path,
		sizeof(path));
	run_minivmm(&run, &output, "check", path, "--set", "dump.chunk=1", "--set", "a.b=c", "--set", "x",
		NULL);
	expect(&output, CODE_CONFIG, NULL, "wrong.cfg:2: ");
	expect(&output, CODE_CONFIG, NULL, "wrong.cfg:3: ");
	expect(&output, CODE_CONFIG, NULL, "wrong.cfg:4: ");
	expect(&output, CODE_CONFIG, NULL, "wrong.cfg:6: ");
	expect(&output, CODE_CONFIG, NULL, "--set dump.chunk: '1'");
	expect(&output, CODE_CONFIG, NULL, "--set a.b: there is no section [a]");
	expect(&output, CODE_CONFIG, NULL, "--set x: expected section.key=value");
	run_finish(&run);
}
END_TEST

START_TEST(a_configuration_without_a_kernel_is_refused)
{
	struct output output;
	char path[300];
	struct run run;

	run_prepare(&run);
	make_file(&run, "empty.cfg", "", path, sizeof(path));
	run_minivmm(&run, &output, "check", path, NULL);
	expect(&output, CODE_CONFIG, NULL, "[vm] kernel: missing");
	run_finish(&run);
}
END_TEST

START_TEST(a_configuration_that_may_not_be_read_is_refused)
{
	struct output output;
	char path[300];
	struct run run;

	run_prepare(&run);
	make_file(&run, "secret.cfg", "[vm]\nkernel = x\n", path, sizeof(path));
	ck_assert_int_eq(chmod(path, 0), 0);
	if (!access(path, R_OK)) {
		print_skip(__func__, "root may read every file");
	} else {
		run_minivmm(&run, &output, "check", path, NULL);
		expect(&output, CODE_CONFIG, NULL, "secret.cfg: Permission denied");
	}
	run_finish(&run);
}
END_TEST

/* ---- check ----------------------------------------------------------------------------------- */

START_TEST(set_overrides_the_file)
{
	struct output output;
	char path[300];
	struct run run;

	run_prepare(&run);
	make_file(&run, "guest.cfg", "[vm]\nkernel = /k\nmemory = 64M\n", path, sizeof(path));
	run_minivmm(&run, &output, "check", path, "--set", "vm.memory=128M", "--set",
		"recovery.backoff=1500ms", "--set", "vm.cmdline=a=b c", NULL);
	expect(&output, CODE_OK, "\nmemory = 128M\n", NULL);
	expect(&output, CODE_OK, "\nbackoff = 1500ms\n", NULL);
	expect(&output, CODE_OK, "\ncmdline = a=b c\n", NULL);
	expect(&output, CODE_OK, "\nname = guest\n", NULL); /* the file's name */
	run_finish(&run);
}
END_TEST

/* The output without its first line, a comment that names the file. */
static const char *body(const struct output *output)
{
	const char *line = strchr(output->out, '\n');

	return line ? line : "";
}

START_TEST(check_accepts_what_check_prints)
{
	/* long values go on over several lines; a line may have 198 bytes */
	static const char *const files[] = {
		"[vm]\nkernel = /k\n",
		"[vm]\nname = a.b_c-1\nkernel = /k\ncmdline = x=1 y=2\nmemory = 3G\nvcpus = 64\nwatchdog = "
		"1500ms\n"
		"[dump]\nenabled = no\ndir = /dev/shm/x\nhuge_pages = off\nchunk = 64K\nworkers = 64\n"
		"[recovery]\nenabled = no\nkernel = /r\ncmdline = r\nmax = 0\nbackoff = "
		"24m\n[console]\noutput = /c\n",
		"[vm]\nkernel = /k\ncmdline = "
		"first=aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n"
		"    "
		"second="
		"bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb\n"
		"    "
		"third="
		"cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc"
		"\n"
		"    "
		"fourth="
		"ddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd"
		"\n",
	};
	char path[300], again[300];
	struct output first, second;
	struct run run;

	run_prepare(&run);
	make_file(&run, "first.cfg", files[_i], path, sizeof(path));
	run_minivmm(&run, &first, "check", path, NULL);
	expect(&first, CODE_OK, "\nkernel = /k\n", NULL);
	make_file(&run, "second.cfg", first.out, again, sizeof(again));
	run_minivmm(&run, &second, "check", again, NULL);
	expect(&second, CODE_OK, NULL, NULL);
	ck_assert_str_eq(body(&first), body(&second));
	run_finish(&run);
}
END_TEST

/* ---- info, run ------------------------------------------------------------------------------- */

START_TEST(info_tells_what_the_host_has)
{
	struct output output;
	struct run run;

	run_prepare(&run);
	run_minivmm(&run, &output, "info", NULL);
	ck_assert_msg(output.code == CODE_OK || output.code == CODE_NO_KVM, "exit code %d", output.code);
	expect(&output, output.code, "KVM\n", NULL);
	expect(&output, output.code, "Shared memory in /dev/shm", NULL);
	expect(&output, output.code, "huge pages", NULL);
	expect(&output, output.code, "open files", NULL);
	run_finish(&run);
}
END_TEST

START_TEST(info_names_a_directory_that_is_not_there)
{
	struct output output;
	struct run run;

	run_prepare(&run);
	run_minivmm(&run, &output, "info", "/no-such-directory", NULL);
	ck_assert_msg(output.code == CODE_HOST || output.code == CODE_NO_KVM, "exit code %d", output.code);
	expect(&output, output.code, "/no-such-directory\n  cannot be opened: No such file", NULL);
	run_finish(&run);
}
END_TEST

/* A kernel image of the first @len bytes of the stub. */
static void cut_stub(const struct run *run, size_t len, char *path, size_t size)
{
	static char bytes[1 << 16];
	size_t got = read_file(stub_path, bytes, len + 1 < sizeof(bytes) ? len + 1 : sizeof(bytes));
	FILE *file;

	snprintf(path, size, "%s/cut.elf", run->dir);
	file = fopen(path, "we");
	ck_assert_msg(file, "%s: %s", path, strerror(errno));
	ck_assert_uint_eq(fwrite(bytes, 1, got, file), got);
	ck_assert_int_eq(fclose(file), 0);
}

START_TEST(a_kernel_that_is_missing_cut_or_none_at_all_is_refused)
{
	static const size_t lengths[] = {0, 3, 63, 64, 100, 1000, 8192};
	char config[300], set[320], path[300], text[512];
	struct output output;
	struct run run;

	NEEDS_KVM();
	run_prepare(&run);
	snprintf(set, sizeof(set), "[vm]\nname = %s\nkernel = /k\nmemory = 16M\n", run.name);
	make_file(&run, "guest.cfg", set, config, sizeof(config));
	run_minivmm(&run, &output, "run", config, "--console", "none", "--set",
		"vm.kernel=/no-such-directory/kernel", NULL);
	expect(&output, CODE_CONFIG, NULL, "/no-such-directory/kernel: No such file");
	snprintf(text, sizeof(text), "#!/bin/sh\n%0400d\n", 0);
	make_file(&run, "script", text, path, sizeof(path));
	snprintf(set, sizeof(set), "vm.kernel=%s", path);
	run_minivmm(&run, &output, "run", config, "--console", "none", "--set", set, NULL);
	expect(&output, CODE_CONFIG, NULL, "neither a bzImage nor an ELF file");
	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		cut_stub(&run, lengths[i], path, sizeof(path));
		snprintf(set, sizeof(set), "vm.kernel=%s", path);
		run_minivmm(&run, &output, "run", config, "--console", "none", "--set", set, NULL);
		expect(&output, CODE_CONFIG, NULL, "cut.elf: ");
	}
	run_assert(&run, !run_files(&run, "", NULL, 0), "files are left");
	run_finish(&run);
}
END_TEST

/* True if a thread of @pid has the name @name. */
static bool has_thread(pid_t pid, const char *name)
{
	char pattern[64], comm[64];
	bool found = false;
	glob_t threads;

	snprintf(pattern, sizeof(pattern), "/proc/%d/task/*/comm", pid);
	if (glob(pattern, 0, NULL, &threads))
		return false;
	for (size_t i = 0; i < threads.gl_pathc && !found; i++) {
		read_file(threads.gl_pathv[i], comm, sizeof(comm));
		comm[strcspn(comm, "\n")] = '\0';
		found = !strcmp(comm, name);
	}
	globfree(&threads);
	return found;
}

START_TEST(threads_have_names)
{
	static const char *const names[] = {"minivmm", "vcpu0", "vcpu1", "console", "event log"};
	struct run run;

	NEEDS_KVM();
	run_start(&run, &(struct guest){.cmdline = "scenario=idle", .vcpus = 2});
	run_await(&run, "ready", 0);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		run_assert(&run, has_thread(run.vmm.pid, names[i]), "no thread '%s'", names[i]);
	run_stops(&run);
	run_finish(&run);
}
END_TEST

START_TEST(a_second_minivmm_with_the_same_guest_name_is_refused)
{
	struct output output;
	char config[300];
	struct run run;

	NEEDS_KVM();
	run_start(&run, &(struct guest){.cmdline = "scenario=idle"});
	run_await(&run, "ready", 0);
	snprintf(config, sizeof(config), "%s/guest.cfg", run.dir);
	run_minivmm(&run, &output, "run", config, "--console", "none", NULL);
	expect(&output, CODE_HOST, NULL, "another minivmm uses it");
	run_signal(&run, SIGTERM);
	run_ends(&run, CODE_OK); /* the first one was not disturbed */
	run_finish(&run);
}
END_TEST

START_TEST(a_directory_for_memory_that_is_not_on_tmpfs_is_refused)
{
	struct output output;
	char config[300], text[640];
	struct run run;

	NEEDS_KVM();
	run_prepare(&run);
	snprintf(text, sizeof(text), "[vm]\nkernel = %s\nmemory_dir = /proc\n", stub_path);
	make_file(&run, "guest.cfg", text, config, sizeof(config));
	run_minivmm(&run, &output, "run", config, "--console", "none", NULL);
	expect(&output, CODE_HOST, NULL, "/proc: ");
	run_finish(&run);
}
END_TEST

#define COUNT(array) ((int)(sizeof(array) / sizeof((array)[0])))

Suite *suite_cli(void)
{
	Suite *suite = suite_create("cli");
	TCase *tcase = run_tcase(suite, "help");

	tcase_add_test(tcase, help_lists_commands_keys_strategies_and_exit_codes);
	tcase_add_test(tcase, version_is_one_line);
	tcase_add_test(tcase, info_tells_what_the_host_has);
	tcase_add_test(tcase, info_names_a_directory_that_is_not_there);

	tcase = run_tcase(suite, "mistakes");
	tcase_add_loop_test(
		tcase, a_mistake_on_the_command_line_is_named_and_ends_with_its_code, 0, COUNT(mistakes));
	tcase_add_loop_test(tcase, a_mistake_in_the_configuration_is_named_with_file_line_found_and_allowed,
		0, COUNT(wrong_lines));
	tcase_add_test(tcase, every_mistake_of_a_file_is_told_in_one_run);
	tcase_add_test(tcase, a_configuration_without_a_kernel_is_refused);
	tcase_add_test(tcase, a_configuration_that_may_not_be_read_is_refused);

	tcase = run_tcase(suite, "check");
	tcase_add_test(tcase, set_overrides_the_file);
	tcase_add_loop_test(tcase, check_accepts_what_check_prints, 0, 3);

	tcase = run_tcase(suite, "run");
	tcase_add_test(tcase, a_kernel_that_is_missing_cut_or_none_at_all_is_refused);
	tcase_add_test(tcase, threads_have_names);
	tcase_add_test(tcase, a_second_minivmm_with_the_same_guest_name_is_refused);
	tcase_add_test(tcase, a_directory_for_memory_that_is_not_on_tmpfs_is_refused);
	return suite;
}
