/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench/linux-guest/fill.c - fill MIB: a process that has so many MiB of memory of its own, with incompressible contents, and
 * keeps them.  Returns to its caller when they are filled.
 */
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

int main(int argc, char **argv)
{
	size_t bytes = argc == 2 ? (size_t)strtoull(argv[1], NULL, 10) << 20 : 0;
	uint64_t *words, x = 0x9e3779b97f4a7c15;
	int done[2];
	char byte;

	if (!bytes)
		return argc != 2;
	if (pipe(done))
		return 1;
	if (fork()) {
		close(done[1]);
		return read(done[0], &byte, 1) != 1; /* the child has died */
	}
	words = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (words == MAP_FAILED)
		return 1;
	for (size_t i = 0; i < bytes / sizeof(*words); i++) {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		words[i] = x;
	}
	if (write(done[1], "", 1) != 1)
		return 1;
	for (;;)
		pause();
}
