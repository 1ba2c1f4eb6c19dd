/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/linux/disk/load.c - runs in a Linux guest: writes records to a file system and tells which of them must be there for ever.
 *
 *	load check DIR     verifies every record, prints "disk: have N", N being the last one of an unbroken row
 *	load run DIR FROM COUNT   writes records FROM, FROM + 1, ...; prints "disk: ack N." when the kernel says that N is on the
 *	                   disk; after COUNT of them another process makes the kernel panic while this one goes on
 *
 * Record n is 4 KiB at n * 4 KiB of DIR/records, its contents a function of n.  Every 16th comes with a file of its
 * own, DIR/files/n, for the journal.  Static, no library of the project's.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define RECORD 4096
#define FILE_EVERY 16

static uint64_t mix(uint64_t x)
{
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9;
	x = (x ^ x >> 27) * 0x94d049bb133111eb;
	return x ^ x >> 31;
}

static void fill(uint64_t n, uint64_t words[RECORD / 8])
{
	words[0] = n;
	for (size_t i = 1; i < RECORD / 8; i++)
		words[i] = mix(n * RECORD + i);
}

static void die(const char *what)
{
	printf("disk: BAD %s: %s\n", what, strerror(errno));
	exit(1);
}

static int open_at(const char *dir, const char *name, int flags)
{
	char path[256];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	fd = open(path, flags, 0600);
	if (fd < 0)
		die(path);
	return fd;
}

/* True if the file of record @n is there and whole. */
static int file_is_good(const char *dir, uint64_t n)
{
	char path[256], text[32] = "", expected[32];
	FILE *file;

	snprintf(path, sizeof(path), "%s/files/%llu", dir, (unsigned long long)n);
	snprintf(expected, sizeof(expected), "%llu\n", (unsigned long long)n);
	file = fopen(path, "r");
	if (!file)
		return 0;
	if (!fgets(text, sizeof(text), file))
		text[0] = '\0';
	fclose(file);
	return !strcmp(text, expected);
}

static int check(const char *dir)
{
	int fd = open_at(dir, "records", O_RDONLY | O_CREAT);
	uint64_t words[RECORD / 8], expected[RECORD / 8], n = 0;

	while (pread(fd, words, RECORD, (off_t)((n + 1) * RECORD)) == RECORD) {
		fill(n + 1, expected);
		if (memcmp(words, expected, RECORD))
			break;
		if ((n + 1) % FILE_EVERY == 0 && !file_is_good(dir, n + 1))
			break;
		n++;
	}
	printf("disk: have %llu\n", (unsigned long long)n);
	return 0;
}

static void write_file(const char *dir, int files, uint64_t n)
{
	char name[64];
	int fd;

	snprintf(name, sizeof(name), "files/%llu", (unsigned long long)n);
	fd = open_at(dir, name, O_WRONLY | O_CREAT | O_TRUNC);
	if (dprintf(fd, "%llu\n", (unsigned long long)n) < 0 || fsync(fd) || close(fd) || fsync(files))
		die(name);
}

/* Goes on in a child: at some moment within the next records the kernel panics. */
static void panic_soon(uint64_t n)
{
	int trigger;

	if (fork())
		return;
	usleep((useconds_t)(mix(n) % 20000));
	trigger = open("/proc/sysrq-trigger", O_WRONLY);
	if (write(trigger, "c", 1) != 1)
		die("panic");
	exit(1);
}

static void run(const char *dir, uint64_t n, uint64_t count)
{
	int fd = open_at(dir, "records", O_WRONLY | O_CREAT);
	int files = open_at(dir, "files", O_RDONLY | O_DIRECTORY);
	uint64_t words[RECORD / 8];
	char line[64];
	int len;

	for (;; n++) {
		fill(n, words);
		if (n % FILE_EVERY == 0)
			write_file(dir, files, n);
		if (pwrite(fd, words, RECORD, (off_t)(n * RECORD)) != RECORD || fsync(fd))
			die("record");
		len = snprintf(line, sizeof(line), "disk: ack %llu.\n", (unsigned long long)n);
		if (write(STDOUT_FILENO, line, (size_t)len) != len)
			exit(1);
		if (!--count)
			panic_soon(n);
	}
}

int main(int argc, char **argv)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc == 3 && !strcmp(argv[1], "check"))
		return check(argv[2]);
	if (argc == 5 && !strcmp(argv[1], "run"))
		run(argv[2], strtoull(argv[3], NULL, 10), strtoull(argv[4], NULL, 10));
	fprintf(stderr, "usage: load check DIR | run DIR FROM COUNT\n");
	return 2;
}
