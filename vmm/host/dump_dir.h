/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/host/dump_dir.h - the directories where a guest's RAM (on tmpfs) and its dumps (anywhere) live.
 *
 * As root, /dev/shm/minivmm (vmm/base/places.h) becomes a tmpfs mounted
 * huge=always on first use (and stays: dumps live there), because /dev/shm seldom has huge pages and
 * nothing matters more for the speed of dumping and of releasing memory (docs/performance.md).
 *
 * Anybody may write in /dev/shm.  So what is mounted on is a directory that is open and known to be root's, not a
 * path; root keeps nothing in one that another user has made; and the lock between two who start at once is a file
 * that others cannot open.
 *
 * Locks: none; called by one thread at start.
 */
#ifndef VMM_HOST_DUMP_DIR_H
#define VMM_HOST_DUMP_DIR_H

#include "dump/base/num.h"
#include "vmm/config/config.h"

/*
 * dump_dir_open - make and open @path (0700, must belong to this user and lie on tmpfs).
 * @huge: whether a missing PLACES_ROOT may be mounted with huge pages.
 * Errors: -errno with a sentence in @why; -ENOTSUP if the file system cannot hold regions (not tmpfs).
 * Result: *ret_fd, owned by the caller.
 */
int warn_unused dump_dir_open(
	const char *path, enum huge_pages huge, int *ret_fd, char *why, size_t why_size);

/* The same for a directory of dumps alone, which may be on any file system. */
int warn_unused dump_dir_open_any(
	const char *path, enum huge_pages huge, int *ret_fd, char *why, size_t why_size);

/* What the file system of an open directory offers. */
struct dump_dir_facts {
	uint64_t size;      /* bytes of the file system */
	uint64_t available; /* bytes free */
	bool huge;          /* a touched byte was backed by a 2 MiB page */
};

/* dump_dir_probe - touch one byte of a temporary file in @dir_fd and look.  -errno on failure. */
int warn_unused dump_dir_probe(int dir_fd, struct dump_dir_facts *ret);

/* True if the file system of @dir_fd has no room for more memory of a VM. */
bool dump_dir_is_full(int dir_fd);

#endif /* VMM_HOST_DUMP_DIR_H */
