/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/vmcores/load.c - in the test guest: processes that hold memory of every kind.
 *
 *      load MIB       holds memory for a guest of MIB MiB; writes to /hold/ready when it has it
 *      load flags     counts of /proc/kpageflags by kind, one line "kpageflags: NAME COUNT" each
 */
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define MIB (1ul << 20)

static char *hold(size_t bytes, int flags)
{
	char *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, flags, -1, 0);

	if (at == MAP_FAILED) {
		perror("load: mmap");
		return NULL;
	}
	return at;
}

/* A quarter of the pages are zeros that have been touched. */
static void fill(char *at, size_t bytes, unsigned seed)
{
	for (size_t off = 0; at && off < bytes; off += 4096) {
		for (size_t i = 0; i < 4096; i += 8) {
			uint64_t word = off / 4096 % 4 ? (uint64_t)seed * 0x9e3779b97f4a7c15ull + off + i
						       : 0;

			memcpy(at + off + i, &word, 8);
		}
	}
}

static void child(size_t mib)
{
	size_t bytes = mib * MIB / 64;
	char *at = hold(bytes, MAP_PRIVATE | MAP_ANONYMOUS);

	fill(at, bytes, (unsigned)getpid());
	if (at) {
		mlock(at, bytes / 4);
		madvise(at + bytes / 2, bytes / 4, MADV_DONTNEED);
	}
	for (;;)
		pause();
}

static void parent(size_t mib)
{
	size_t bytes = mib * MIB / 16;
	char *thp = hold(bytes + 2 * MIB, MAP_PRIVATE | MAP_ANONYMOUS);
	char *shared = hold(bytes / 2, MAP_SHARED | MAP_ANONYMOUS);
	char *huge = hold(mib / 256 * 2 * MIB, MAP_PRIVATE | MAP_ANONYMOUS | MAP_HUGETLB);
	int fd;

	if (thp)
		madvise(thp, bytes + 2 * MIB, MADV_HUGEPAGE);
	fill(thp, bytes, 1);
	fill(shared, bytes / 2, 2);
	fill(huge, huge ? mib / 256 * 2 * MIB : 0, 3);
	for (int i = 0; i < 3; i++)
		if (!fork())
			child(mib);
	sleep(2);
	fd = open("/hold/ready", O_WRONLY);
	if (fd < 0 || write(fd, "1\n", 2) != 2)
		perror("load: /hold/ready");
	for (;;)
		pause();
}

/* Bits of /proc/kpageflags (linux/kernel-page-flags.h) */
enum { KPF_LRU = 5, KPF_SLAB = 7, KPF_BUDDY = 10, KPF_ANON = 12, KPF_HUGE = 17, KPF_NOPAGE = 20 };

static void flags(void)
{
	static uint64_t words[8192];
	unsigned long slab = 0, buddy = 0, anon = 0, huge = 0, user = 0, lru = 0, all = 0;
	int fd = open("/proc/kpageflags", O_RDONLY);
	ssize_t n;

	while (fd >= 0 && (n = read(fd, words, sizeof(words))) > 0) {
		for (size_t i = 0; i < (size_t)n / 8; i++) {
			if (words[i] >> KPF_NOPAGE & 1)
				continue;
			all++;
			slab += words[i] >> KPF_SLAB & 1;
			buddy += words[i] >> KPF_BUDDY & 1;
			anon += words[i] >> KPF_ANON & 1;
			huge += words[i] >> KPF_HUGE & 1;
			user += (words[i] >> KPF_HUGE | words[i] >> KPF_ANON) &
				1; /* hugetlb pages are both */
			lru += words[i] >> KPF_LRU & 1;
		}
	}
	printf("kpageflags: all %lu\nkpageflags: slab %lu\nkpageflags: buddy %lu\nkpageflags: anon %lu\n"
	       "kpageflags: huge %lu\nkpageflags: user %lu\nkpageflags: lru %lu\n",
		all, slab, buddy, anon, huge, user, lru);
}

int main(int argc, char **argv)
{
	if (argc < 2)
		return 2;
	if (!strcmp(argv[1], "flags"))
		flags();
	else
		parent((size_t)atol(argv[1]));
	return 0;
}
