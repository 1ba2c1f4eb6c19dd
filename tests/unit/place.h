/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/place.h - a directory for dumps outside /dev/shm: on most machines on a disk, or on a small tmpfs.
 */
#ifndef TESTS_UNIT_PLACE_H
#define TESTS_UNIT_PLACE_H

struct place {
	char path[64];
	int fd; /* -1: the tmpfs could not be mounted */
};

/* @mount_options: of a tmpfs that is gone with its last descriptor; NULL = no mount, the directory is on a disk. */
void place_init(struct place *place, const char *mount_options);

/* The same in @dir, without a mount. */
void place_init_in(struct place *place, const char *dir);

/* Removes the directory with the fixture's dumps in it. */
void place_fini(struct place *place);

/* Files in it. */
unsigned place_nr_files(const struct place *place);

#endif /* TESTS_UNIT_PLACE_H */
