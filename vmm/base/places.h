/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/base/places.h - where guests have their directories when guest.cfg does not say.
 *
 *      /dev/shm/minivmm/GUEST            root's
 *      /dev/shm/minivmm/uid-UID/GUEST    another user's, where root has mounted a tmpfs with huge pages for all
 *      /dev/shm/minivmm-UID/GUEST        another user's, else
 *
 * So nobody stands in anybody's way, and guests of one name of two users are two.  Locks: none.
 */
#ifndef VMM_BASE_PLACES_H
#define VMM_BASE_PLACES_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#define PLACES_SHM "/dev/shm"
#define PLACES_ROOT PLACES_SHM "/minivmm"
#define PLACES_MAX 3       /* of one user */
#define PLACES_PATH_MAX 64 /* bytes of one, with the NUL */

/* The place of this user's new guests. */
void places_own(char path[static PLACES_PATH_MAX]);

/* All places where this user's guests may be, the one for new ones first; *ret_nr of them. */
void places_of_user(char paths[PLACES_MAX][PLACES_PATH_MAX], size_t *ret_nr);

/*
 * places_find - the directory of the guest @name, if this user has one: "PLACE/NAME" into @buf.
 * Result: false if there is none; @buf then has the one that it would have.
 */
bool places_find(const char *name, char *buf, size_t size);

#endif /* VMM_BASE_PLACES_H */
