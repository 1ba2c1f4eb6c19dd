/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/dump_fixture.h - a directory on tmpfs, a crashed region with known contents, a record of
 * it, and a reader of vmcores that shares no code with the writer.
 *
 * Every helper ends the test (ck_abort) when the host refuses; none returns an error.
 */
#ifndef TESTS_UNIT_DUMP_FIXTURE_H
#define TESTS_UNIT_DUMP_FIXTURE_H

#include "dump/engine/engine.h"
#include "dump/engine/engine_state.h"
#include "dump/record/record.h"

#include <elf.h>
#include <stdint.h>

struct dump_fixture {
	char dir[64];
	int dir_fd;
	int proc_fd;
	int region_fd;
	int record_fd;
	uint32_t nr_cpus;
	struct dump_record *record;
	struct dump_layout layout;
};

/* One note of a file. */
struct note {
	char name[16];
	uint32_t type;
	uint32_t len;
	const unsigned char *desc;
};

/* A file read as ELF; all pointers lie in @map. */
struct elf_view {
	unsigned char *map;
	size_t size;
	const Elf64_Ehdr *ehdr;
	const Elf64_Phdr *phdrs;
	struct note notes[512];
	size_t nr_notes;
};

/*
 * A guest of @ram bytes with RAM below 3 GiB and above 4 GiB (or, for small tests, split at @hole),
 * and @nr_cpus vCPUs; its region is all hole.  Name "guest-test-g0", one worker, chunks of 2 MiB.
 */
void fixture_init(struct dump_fixture *f, uint64_t ram, uint64_t hole, uint32_t nr_cpus);
void fixture_fini(struct dump_fixture *f); /* removes the directory and what is in it */

/*
 * Swaps the directory and the region for empty ones on a tmpfs of their own, mounted with @options; false
 * and errno if this process may not.
 */
bool fixture_mount(struct dump_fixture *f, const char *options);

/* Fills pages [@first, @first + @count) of RAM with contents made of page number and @seed. */
void fixture_fill(struct dump_fixture *f, uint64_t first, uint64_t count, uint64_t seed);

/* The same contents of one page, in memory. */
void fixture_page(uint64_t page, uint64_t seed, void *contents);

/* Pages of @fd at RAM offset that differ from fixture_fill's contents. */
uint64_t fixture_bad_pages(int fd, uint64_t head, uint64_t first, uint64_t count, uint64_t seed);

/* An engine set up for the fixture, ready to run. */
struct dump_engine fixture_engine(struct dump_fixture *f);

bool fixture_exists(const struct dump_fixture *f, const char *name);
int fixture_open(const struct dump_fixture *f, const char *name);
unsigned fixture_nr_files(const struct dump_fixture *f);

/* Bytes of host memory behind [@off, @off + @len) of the file. */
uint64_t fixture_populated(int fd, uint64_t off, uint64_t len);

/* Gives each field of a vCPU a value made of the field's place and @nr. */
void fixture_set_cpu(struct dump_cpu *cpu, uint32_t nr);

void elf_open(struct elf_view *view, int fd);
void elf_close(struct elf_view *view);
/* The @nth note of that name and type; ends the test if there is none. */
const struct note *elf_note(const struct elf_view *view, const char *name, uint32_t type, unsigned nth);

#endif /* TESTS_UNIT_DUMP_FIXTURE_H */
