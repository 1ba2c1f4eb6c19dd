/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench/curve.c - curve FILE DIRECTORY COMMAND [ARGUMENT]...
 *
 * Runs COMMAND and writes to FILE, every two milliseconds, how much memory each file has that is in
 * DIRECTORY, or on its file system and held open by COMMAND or a child of it:
 *
 *	NS INODE KIB NAME        NAME: in DIRECTORY, "-" for a file that has none there
 *
 * NS is CLOCK_MONOTONIC, as in minivmm's event log.  Knows nothing of what the files are for: the reader
 * of FILE tells regions and dumps apart by names and sizes.  Exit status: COMMAND's.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SAMPLE_NS 2000000
#define CHILDREN_MAX 8
#define FILES_MAX 64
#define BLOCK_BYTES 512 /* unit of st_blocks */

/* What one sample has seen: a file that two processes hold counts once. */
struct look {
	ino_t seen[FILES_MAX];
	unsigned nr;
};

static long long now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000000000ll + ts.tv_nsec;
}

static int seen_before(struct look *look, ino_t inode)
{
	for (unsigned i = 0; i < look->nr; i++)
		if (look->seen[i] == inode)
			return 1;
	if (look->nr < FILES_MAX)
		look->seen[look->nr++] = inode;
	return 0;
}

/*
 * Every file that the entries of the directory @path lead to.  A file that was made by O_TMPFILE and got a name later
 * tells it only in its own directory, so that one is looked at first.
 */
static void look_into(
	FILE *out, struct look *look, const char *path, int named, dev_t device, long long now)
{
	struct dirent *entry;
	struct stat st;
	DIR *dir = opendir(path);

	while (dir && (entry = readdir(dir))) {
		if (entry->d_name[0] == '.' || fstatat(dirfd(dir), entry->d_name, &st, 0))
			continue;
		if (!S_ISREG(st.st_mode) || st.st_dev != device || seen_before(look, st.st_ino))
			continue;
		fprintf(out, "%lld %llu %llu %s\n", now, (unsigned long long)st.st_ino,
			(unsigned long long)st.st_blocks * BLOCK_BYTES >> 10, named ? entry->d_name : "-");
	}
	if (dir)
		closedir(dir);
}

static void look_at_process(FILE *out, struct look *look, pid_t pid, dev_t device, long long now)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/fd", pid);
	look_into(out, look, path, 0, device, now);
}

/* @pid's children, whichever of its threads made them. */
static unsigned find_children(pid_t pid, pid_t *children)
{
	char path[64];
	struct dirent *entry;
	unsigned nr = 0;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	dir = opendir(path);
	while (dir && (entry = readdir(dir))) {
		char at[400];
		FILE *file;

		if (entry->d_name[0] == '.')
			continue;
		snprintf(at, sizeof(at), "%s/%s/children", path, entry->d_name);
		file = fopen(at, "re");
		while (file && nr < CHILDREN_MAX && fscanf(file, "%d", &children[nr]) == 1)
			nr++;
		if (file)
			fclose(file);
	}
	if (dir)
		closedir(dir);
	return nr;
}

int main(int argc, char **argv)
{
	const struct timespec pause = {.tv_nsec = SAMPLE_NS};
	struct stat st;
	FILE *out;
	int status;
	pid_t pid;

	if (argc < 4) {
		fprintf(stderr, "usage: curve FILE DIRECTORY COMMAND [ARGUMENT]...\n");
		return 2;
	}
	out = fopen(argv[1], "we");
	if (!out || stat(argv[2], &st)) {
		fprintf(stderr, "curve: %s: %s\n", out ? argv[2] : argv[1], strerror(errno));
		return 1;
	}
	pid = fork();
	if (!pid) {
		execvp(argv[3], argv + 3);
		fprintf(stderr, "curve: %s: %s\n", argv[3], strerror(errno));
		_exit(127);
	}
	if (pid < 0)
		return 1;
	while (!waitpid(pid, &status, WNOHANG)) {
		long long now = now_ns();
		struct look look = {.nr = 0};
		pid_t children[CHILDREN_MAX];
		unsigned nr = find_children(pid, children);

		look_into(out, &look, argv[2], 1, st.st_dev, now);
		look_at_process(out, &look, pid, st.st_dev, now);
		for (unsigned i = 0; i < nr; i++)
			look_at_process(out, &look, children[i], st.st_dev, now);
		nanosleep(&pause, NULL);
	}
	if (fclose(out)) {
		fprintf(stderr, "curve: %s: %s\n", argv[1], strerror(errno));
		return 1;
	}
	return WIFEXITED(status) ? WEXITSTATUS(status) : 1;
}
