/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/config_fixture.c - see config_fixture.h */
#include "tests/unit/config_fixture.h"

#include "dump/base/cleanup.h"

#include <errno.h>
#include <string.h>

struct scratch scratch;
struct config config;
char path[128];

void config_setup(void)
{
	scratch_init(&scratch);
	memset(&config, 0, sizeof(config));
}

void config_teardown(void)
{
	config_fini(&config);
	scratch_fini(&scratch);
}

int load(const char *text, const char *const *sets, size_t nr_sets)
{
	config_fini(&config);
	scratch_file(&scratch, "guest.cfg", text, strlen(text), path, sizeof(path));
	return config_load(&config, path, sets, nr_sets);
}

void accepts(const char *text)
{
	ck_assert_msg(!load(text, NULL, 0), "refused:\n%.400s", text);
}

void refuses_lines(const char *text, const char *const *parts, size_t nr)
{
	struct config before;
	autofree char *log = NULL;
	char *line, *rest;
	size_t seen = 0;
	int err;

	config_fini(&config);
	before = config;
	stderr_capture();
	err = load(text, NULL, 0);
	log = stderr_text();
	ck_assert_msg(err == -EINVAL, "%d for:\n%.400s", err, text);
	ck_assert_mem_eq(&config, &before, sizeof(config));
	for (line = strtok_r(log, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest), seen++) {
		ck_assert_msg(seen < nr, "one line too many: %s", line);
		ck_assert_msg(strstr(line, "minivmm: error: "), "no error line: %s", line);
		ck_assert_msg(strstr(line, parts[seen]), "'%s' is missing in: %s", parts[seen], line);
	}
	ck_assert_msg(seen == nr, "%zu lines instead of %zu for:\n%.400s", seen, nr, text);
}

void refuses(const char *text, unsigned line, const char *part)
{
	char where[192];

	snprintf(where, sizeof(where), "/guest.cfg:%u: %s", line, part);
	refuses_lines(text, (const char *const[]){where}, 1);
}
