/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/drain_fixture.h - a finished dump in memory, a directory on a disk, and a judge of what is in either.
 *
 * What is expected of a copy was made by dump/save/save.h before anything could fail; pages of it are judged in test_save.c.
 * Every helper ends the test (ck_abort) when the host refuses; none returns an error.
 */
#ifndef TESTS_UNIT_DRAIN_FIXTURE_H
#define TESTS_UNIT_DRAIN_FIXTURE_H

#include "tests/unit/dump_fixture.h"
#include "tests/unit/place.h"

#include "dump/save/drain.h"

#define DRAIN_SOURCE_FILE "guest-test-g0.vmcore"

struct drain_fixture {
	struct dump_fixture dump;
	struct place place; /* where it is to go */
	struct drain drain; /* as it will be run */
	char name[NAME_MAX];
	enum drain_step step; /* of the last run */
	char why[512];
};

/* @mount_options: as place_init(), or drain_in_memory: in /dev/shm.  False if that may not be mounted. */
extern const char drain_in_memory[];
bool drain_fixture_init(struct drain_fixture *f, const char *mount_options);
void drain_fixture_fini(struct drain_fixture *f);

/* 0 elf, 1 lz4, 2 kdump. */
void drain_fixture_format(struct drain_fixture *f, int format);

/* Opens the source anew: drain.reader, the caller's. */
void drain_fixture_open(struct drain_fixture *f);

/* Does that, and drains it. */
int drain_fixture_run(struct drain_fixture *f);

/* The copy is there, and it is, byte for byte or page for page, what it should be. */
bool drain_fixture_copy_is_whole(struct drain_fixture *f);
bool drain_fixture_source_is_there(const struct drain_fixture *f);

/*
 * After a run that gave @r: the dump is whole in memory or on the disk, a copy that has a name is whole, and after a
 * success it has one.
 */
void drain_fixture_check(struct drain_fixture *f, int r);

/* As at the beginning: the dump in memory, nothing on the disk. */
void drain_fixture_again(struct drain_fixture *f);

/* The file without a name in the directory, open for reading and writing without O_DIRECT. */
int drain_fixture_open_unnamed(const struct drain_fixture *f);

/* Makes the source a dump that is 0: not finished, 1: cut. */
void drain_fixture_spoil(struct drain_fixture *f, int how);

/* Ends the test as skipped if the directory is in memory on this machine. */
void drain_fixture_need_disk(const struct drain_fixture *f);

#endif /* TESTS_UNIT_DRAIN_FIXTURE_H */
