/* SPDX-License-Identifier: Apache-2.0 */
/* vmm/base/places.c - see places.h */
#include "vmm/base/places.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* Root has mounted it, and everybody may make a directory there that stays his own. */
static bool is_shared(void)
{
	struct stat here, above;

	return !lstat(PLACES_ROOT, &here) && !lstat(PLACES_SHM, &above) && S_ISDIR(here.st_mode) &&
	       here.st_uid == 0 && here.st_dev != above.st_dev && (here.st_mode & S_ISVTX) &&
	       (here.st_mode & S_IWOTH);
}

void places_of_user(char paths[PLACES_MAX][PLACES_PATH_MAX], size_t *ret_nr)
{
	unsigned uid = geteuid();
	size_t shared = is_shared() ? 0 : 1;

	*ret_nr = uid ? PLACES_MAX : 1;
	if (!uid) {
		snprintf(paths[0], PLACES_PATH_MAX, PLACES_ROOT);
		return;
	}
	snprintf(paths[shared], PLACES_PATH_MAX, PLACES_ROOT "/uid-%u", uid);
	snprintf(paths[1 - shared], PLACES_PATH_MAX, PLACES_ROOT "-%u", uid);
	snprintf(paths[2], PLACES_PATH_MAX, PLACES_ROOT); /* of versions before there were others */
}

void places_own(char path[static PLACES_PATH_MAX])
{
	char paths[PLACES_MAX][PLACES_PATH_MAX];
	size_t nr;

	places_of_user(paths, &nr);
	memcpy(path, paths[0], PLACES_PATH_MAX);
}

bool places_find(const char *name, char *buf, size_t size)
{
	char paths[PLACES_MAX][PLACES_PATH_MAX];
	struct stat st;
	size_t nr;

	places_of_user(paths, &nr);
	for (size_t i = 0; i < nr; i++) {
		snprintf(buf, size, "%s/%s", paths[i], name);
		if (!lstat(buf, &st) && S_ISDIR(st.st_mode) && st.st_uid == geteuid())
			return true;
	}
	snprintf(buf, size, "%s/%s", paths[0], name);
	return false;
}
