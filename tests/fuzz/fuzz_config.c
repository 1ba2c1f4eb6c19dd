/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/fuzz/fuzz_config.c - intent: no text crashes config_load or makes it leak; what it refuses leaves
 * the result alone; what it accepts is complete, and printed it reads back as the same.
 *
 * Input: a configuration file.
 */
#include "dump/base/cleanup.h"
#include "dump/base/io.h"
#include "vmm/config/config.h"
#include "vmm/config/config_named.h"
#include "vmm/config/options.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define LINE_LEN_MAX 198 /* docs/guest.cfg.md */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
/* Of the sanitizers' runtime: where reports go instead of stderr.  Not there without a sanitizer. */
void __sanitizer_set_report_fd(void *fd) __attribute__((weak));

static int stderr_copy = -1, null_fd = -1;

/* Not assert(): a fuzzer's build must not lose it to NDEBUG. */
static void must(bool ok, const char *what)
{
	if (!ok) {
		dprintf(stderr_copy, "fuzz_config: broken promise: %s\n", what);
		abort();
	}
}

static void init(void)
{
	stderr_copy = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 10);
	null_fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
	must(stderr_copy >= 0 && null_fd >= 0, "files to write to");
	if (__sanitizer_set_report_fd)
		__sanitizer_set_report_fd((void *)(intptr_t)stderr_copy);
}

/* config_load of @size bytes at @text, without its error lines. */
static int load(struct config *config, const void *text, size_t size)
{
	autoclose int fd = memfd_create("fuzz_config", MFD_CLOEXEC);
	char path[64];
	int err;

	must(fd >= 0 && !io_pwrite_full(fd, text, size, 0), "a file to read");
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	dup2(null_fd, STDERR_FILENO);
	err = config_load(config, path, NULL, 0);
	dup2(stderr_copy, STDERR_FILENO);
	return err;
}

static char *print(const struct config *config, size_t *ret_size)
{
	char *text = NULL;
	FILE *out = open_memstream(&text, ret_size);

	must(out, "memory to print to");
	config_print(config, out);
	must(!fclose(out) && text, "memory to print to");
	return text;
}

/* A relative path that fits in a line may, with its directory, not: config_print says so. */
static bool fits_in_lines(const char *text)
{
	for (const char *line = text; *line; line += strcspn(line, "\n") + 1)
		if (strcspn(line, "\n") > LINE_LEN_MAX)
			return false;
	return true;
}

static void check_accepted(struct config *config)
{
	autofree char *first = NULL, *second = NULL;
	struct config again;
	size_t size;

	for (size_t i = 0; i < nr_options; i++) {
		char **string = option_string(&options[i], config);

		must(!string || *string, "every string is set");
	}
	for (size_t k = 0; k < NAMED_KINDS; k++) {
		void *named;

		for (size_t i = 0; (named = config_named(config, &config_kinds[k], i)); i++)
			for (size_t o = 0; o < config_kinds[k].nr_options; o++) {
				char **string = option_string(&config_kinds[k].options[o], named);

				must(!string || *string, "every string of a section with a name is set");
			}
	}
	must(config->vm.kernel[0], "there is a kernel");
	first = print(config, &size);
	if (!fits_in_lines(first))
		return;
	must(!load(&again, first, size), "what is printed is accepted");
	second = print(&again, &size);
	must(!strcmp(first, second), "what is printed reads back as the same");
	config_fini(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct config config, before;
	int err;

	if (stderr_copy < 0)
		init();
	memset(&config, 0x5a, sizeof(config));
	before = config;
	err = load(&config, data, size);
	if (err) {
		must(err < 0, "errors are negative");
		must(!memcmp(&config, &before, sizeof(config)), "a failure leaves the result alone");
		return 0;
	}
	check_accepted(&config);
	config_fini(&config);
	return 0;
}
