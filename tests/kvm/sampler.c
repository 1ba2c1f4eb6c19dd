/* SPDX-License-Identifier: Apache-2.0 */
/* tests/kvm/sampler.c - see sampler.h.  The thread is sampler_thread(), the sum take_sample(). */
#include "tests/kvm/sampler.h"

#include "tests/kvm/process.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define BLOCK_BYTES 512 /* unit of st_blocks */
/* our choice: the kernel walks all page tables for it, so not with every sample */
#define SAMPLES_PER_SMAPS 64

/* ---- one look ------------------------------------------------------------------------------------ */

static void note_file(const struct sampler *sampler, struct sampled_look *look, const struct stat *st)
{
	if (!S_ISREG(st->st_mode) || st->st_dev != sampler->device)
		return;
	for (uint32_t i = 0; i < look->nr; i++)
		if (look->files[i].inode == st->st_ino)
			return;
	if (look->nr < SAMPLER_FILES_MAX)
		look->files[look->nr++] = (struct sampled_file){.inode = st->st_ino,
			.unnamed = !st->st_nlink,
			.bytes = (uint64_t)st->st_blocks * BLOCK_BYTES};
}

/* Every file that the entries of the directory @fd lead to; closes it. */
static void look_into(const struct sampler *sampler, struct sampled_look *look, int fd)
{
	DIR *dir = fd >= 0 ? fdopendir(fd) : NULL;
	struct dirent *entry;
	struct stat st;

	if (!dir && fd >= 0)
		close(fd);
	while (dir && (entry = readdir(dir)))
		if (entry->d_name[0] != '.' && !fstatat(fd, entry->d_name, &st, 0))
			note_file(sampler, look, &st);
	if (dir)
		closedir(dir);
}

static void look_at_all(const struct sampler *sampler, struct sampled_look *look)
{
	char path[64];

	look->nr = 0;
	for (size_t i = 0; i < sizeof(sampler->pids) / sizeof(sampler->pids[0]); i++) {
		if (!sampler->pids[i])
			continue;
		snprintf(path, sizeof(path), "/proc/%d/fd", sampler->pids[i]);
		look_into(sampler, look, open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	}
	/* a descriptor of its own: reading a directory moves its position */
	look_into(sampler, look, openat(sampler->dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
}

/* ---- one sample ---------------------------------------------------------------------------------- */

static const struct sampled_file *find_file(const struct sampled_look *look, ino_t inode)
{
	for (uint32_t i = 0; i < look->nr; i++)
		if (look->files[i].inode == inode)
			return &look->files[i];
	return NULL;
}

static void take_sample(struct sampler *sampler)
{
	uint64_t sum = 0, unnamed = 0;

	look_at_all(sampler, &sampler->looks[0]);
	look_at_all(sampler, &sampler->looks[1]);
	for (uint32_t i = 0; i < sampler->looks[0].nr; i++) {
		const struct sampled_file *first = &sampler->looks[0].files[i];
		const struct sampled_file *second = find_file(&sampler->looks[1], first->inode);
		uint64_t bytes;

		if (!second)
			continue;
		bytes = first->bytes < second->bytes ? first->bytes : second->bytes;
		sum += bytes;
		unnamed += second->unnamed ? bytes : 0;
	}
	atomic_store(&sampler->now, sum);
	sampler->samples++;
	if (sum <= sampler->peak)
		return;
	sampler->peak = sum;
	sampler->peak_unnamed = unnamed;
	sampler->peak_ns = now_ns();
}

/* ---- private memory ------------------------------------------------------------------------------ */

static uint64_t kib_of(const char *text, const char *key)
{
	const char *at = strstr(text, key);
	unsigned long long kib;

	return at && sscanf(at + strlen(key), " %llu kB", &kib) == 1 ? (uint64_t)kib << 10 : 0;
}

/*
 * Private_* would count shared memory that only one process has mapped, which is mostly so here; so what
 * is asked for is the part that has no file behind it.
 */
static void take_smaps(struct sampler *sampler)
{
	uint64_t private = 0, shared = 0;
	char path[64], text[2048];

	for (size_t i = 0; i < sizeof(sampler->pids) / sizeof(sampler->pids[0]); i++) {
		if (!sampler->pids[i])
			continue;
		snprintf(path, sizeof(path), "/proc/%d/smaps_rollup", sampler->pids[i]);
		read_file(path, text, sizeof(text));
		private += kib_of(text, "\nAnonymous:");
		shared += kib_of(text, "\nPss_Shmem:");
	}
	sampler->peak_private = private > sampler->peak_private ? private : sampler->peak_private;
	sampler->peak_shared = shared > sampler->peak_shared ? shared : sampler->peak_shared;
}

/* ---- the thread ---------------------------------------------------------------------------------- */

static void *sampler_thread(void *opaque)
{
	struct sampler *sampler = opaque;
	uint64_t last = now_ns();

	while (!atomic_load(&sampler->quit)) {
		uint64_t now;

		take_sample(sampler);
		now = now_ns();
		if (now - last > sampler->longest_gap_ns)
			sampler->longest_gap_ns = now - last;
		last = now;
		if (sampler->samples % SAMPLES_PER_SMAPS == 1)
			take_smaps(sampler);
		sleep_until(now + NSEC_PER_MSEC);
	}
	return NULL;
}

int sampler_start(struct sampler *sampler, pid_t minivmm, pid_t dumper, const char *dir)
{
	struct stat st = {0};
	int err;

	memset(sampler, 0, sizeof(*sampler));
	sampler->pids[0] = minivmm;
	sampler->pids[1] = dumper;
	sampler->dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (sampler->dir_fd < 0)
		return -errno;
	err = fstat(sampler->dir_fd, &st) < 0 ? -errno : 0;
	sampler->device = st.st_dev;
	if (!err)
		err = -pthread_create(&sampler->thread, NULL, sampler_thread, sampler);
	if (err)
		close(sampler->dir_fd);
	return err;
}

void sampler_stop(struct sampler *sampler)
{
	atomic_store(&sampler->quit, true);
	pthread_join(sampler->thread, NULL);
	close(sampler->dir_fd);
}
