/* SPDX-License-Identifier: Apache-2.0 */
/* vmm/cli/cmd_dump_common.c - what the subcommands of "minivmm dump" share: see cmd_dump.h */
#include "vmm/cli/cmd_dump.h"

#include "dump/base/log.h"
#include "vmm/base/exit_codes.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

bool dump_is_no_file(int error)
{
	return error == -ENOENT || error == -ENOTDIR || error == -EISDIR || error == -ELOOP;
}

int dump_command_open(const char *path, const char *region, struct reader **ret)
{
	char why[256];
	int r = reader_open(path, region, ret, why, sizeof(why));

	if (!r) {
		if ((*ret)->damage[0])
			log_warn("%s: %s", path, (*ret)->damage);
		return EXIT_OK;
	}
	log_error("%s: %s", path, why);
	if (r == -EBADMSG)
		return EXIT_DUMP;
	return r == -EINVAL || r == -EFBIG || dump_is_no_file(r) ? EXIT_CONFIG : EXIT_HOST;
}

int dump_command_not_found(struct reader *reader)
{
	struct reader_counts counts;
	uint64_t damaged = 0;

	if (reader_count(reader, &counts) || counts.missing || reader_check(reader, NULL, NULL, &damaged))
		return EXIT_DUMP;
	return damaged ? EXIT_DUMP : EXIT_NOTHING;
}

const char *dump_read_error(int error)
{
	switch (error) {
	case -ENODATA:
	case -ENXIO:
		return "it was not dumped, and the crashed VM's memory is gone";
	case -EBADMSG:
		return "the file is damaged there";
	case -EIO:
	case -EFAULT:
	case -EHWPOISON:
		return "the host cannot read it: a fault of its memory or disk";
	default:
		return strerror(-error);
	}
}

const char *dump_state_name(const struct reader *reader, bool in_use)
{
	if (in_use && reader->kind != READER_COMPLETE)
		return "in progress";
	return reader->kind == READER_REGION ? "partial" : reader_kind_name(reader->kind);
}

void dump_clean_text(char *to, size_t size, const char *from, size_t len)
{
	size_t i;

	for (i = 0; i < len && i + 1 < size && from[i]; i++)
		to[i] = from[i] >= ' ' && from[i] <= '~' ? from[i] : ' ';
	to[i] = '\0';
}

void dump_age(uint64_t now_ns, uint64_t then_ns, char *buf, size_t size)
{
	uint64_t seconds = now_ns > then_ns ? (now_ns - then_ns) / NSEC_PER_SEC : 0;

	if (seconds < 120)
		snprintf(buf, size, "%" PRIu64 " s", seconds);
	else if (seconds < 2 * 3600)
		snprintf(buf, size, "%" PRIu64 " min", seconds / 60);
	else if (seconds < 48 * 3600)
		snprintf(buf, size, "%" PRIu64 " h", seconds / 3600);
	else
		snprintf(buf, size, "%" PRIu64 " days", seconds / (24 * 3600));
}
