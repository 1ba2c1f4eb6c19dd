/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/cli/cmd_dump.h - the subcommands of "minivmm dump", one table in cmd_dump.c.  Private to
 * vmm/cli/cmd_dump*.c.
 */
#ifndef VMM_CLI_CMD_DUMP_H
#define VMM_CLI_CMD_DUMP_H

#include "dump/base/num.h"
#include "dump/read/reader.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* our choice: more files than one calls by name */
#define DUMP_FILES_MAX 256

/* What the subcommands are given; each says which of these it takes. */
struct dump_arguments {
	const char *files[DUMP_FILES_MAX];
	size_t nr_files;
	bool json;
	bool all;    /* --all */
	bool force;  /* --force */
	bool keep;   /* --keep */
	bool caller; /* --caller */
	bool has_phys, has_len;
	uint64_t phys, len;
	const char *output; /* NULL = not given */
	const char *region;
	const char *format;
	bool verify, move;  /* --verify, --move */
	const char *pace;   /* --pace */
	const char *beside; /* --beside */
};

/* Each returns an exit code (exit_codes.h) after it has said what was wrong. */
int dump_command_list(const struct dump_arguments *args);
int dump_command_info(const struct dump_arguments *args);
int dump_command_read(const struct dump_arguments *args);
int dump_command_salvage(const struct dump_arguments *args);
int dump_command_dmesg(const struct dump_arguments *args);
int dump_command_bt(const struct dump_arguments *args);
int dump_command_save(const struct dump_arguments *args);
int dump_command_rm(const struct dump_arguments *args);

/* ---- cmd_dump_common.c: what they share ----------------------------------------------------------- */

/* True if an error of opening says that there is no such file: EXIT_CONFIG. */
bool dump_is_no_file(int error);

/* Opens @path, or says why not and returns the exit code. */
int warn_unused dump_command_open(const char *path, const char *region, struct reader **ret);

/* EXIT_DUMP if pages are missing from @reader's dump, else EXIT_NOTHING: why something is not found in it. */
int dump_command_not_found(struct reader *reader);

/* Why reader_read() gave @error, of memory that the guest has: words for "cannot be read: ...". */
const char *dump_read_error(int error);

/* "complete", "partial", "in progress", ...: what a dump is, in words. */
const char *dump_state_name(const struct reader *reader, bool in_use);

/*
 * Writes at most @len bytes of hostile text up to a NUL so that a terminal shows them and does nothing
 * else: what is no printable ASCII becomes a space.
 */
void dump_clean_text(char *to, size_t size, const char *from, size_t len);

/* Seconds and more in few characters: "12 s", "3 min", "5 h", "9 days". */
void dump_age(uint64_t now_ns, uint64_t then_ns, char *buf, size_t size);

#endif /* VMM_CLI_CMD_DUMP_H */
