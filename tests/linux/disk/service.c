/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/linux/disk/service.c - a network service with its state on a disk, its client, and bytes to send about.
 *
 *	service serve PORT FILE         answers each line "next" with the counter in FILE plus one, which is on the disk by
 *	                                then, and "panic" by crashing the kernel
 *	service client ADDR PORT N P    asks N times, has the kernel panic after every P answers; goes on when there is
 *	                                an answer again.  Fails if an answer is not above the one before
 *	service listen PORT BYTES SEED  takes one connection, checks that many bytes against the stream of SEED, then sends as many
 *	                                of SEED + 1; prints what it took
 *	service connect ADDR PORT BYTES SEED   the other side: sends first, then checks
 */
#include "firmware/abi.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/io.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define TRY_MS 200     /* one attempt to connect or to be answered; longer as the wait gets longer: below */
#define PATIENCE_S 300 /* without any answer */

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void die(const char *what)
{
	printf("service: BAD %s: %s\n", what, strerror(errno));
	exit(1);
}

/* ---- ready ---------------------------------------------------------------------------------------- */

/*
 * Tells minivmm that the service is up (firmware call FW_READY), from a process of root: a locked page of ours, its
 * guest-physical address from pagemap (Documentation/admin-guide/mm/pagemap.rst), one OUT.
 */
static void say_ready(void)
{
	static union {
		struct fw_header header;
		char page[4096];
	} block __attribute__((aligned(4096)));
	int fd = open("/proc/self/pagemap", O_RDONLY);
	uint64_t entry = 0, gpa;

	block.header = (struct fw_header){.magic = FW_MAGIC,
		.version = FW_VERSION,
		.call = FW_READY,
		.size = sizeof(block.header),
		.status = FW_PENDING};
	if (mlock(&block, sizeof(block)) || ioperm(FW_PORT, 4, 1) ||
		pread(fd, &entry, sizeof(entry), (off_t)((uintptr_t)&block / 4096 * 8)) != sizeof(entry) ||
		!(entry >> 63))
		die("ready");
	gpa = (entry & ((1ull << 55) - 1)) * 4096;
	outl((uint32_t)(gpa >> FW_BLOCK_SHIFT), FW_PORT);
	if (*(volatile int32_t *)&block.header.status != FW_OK)
		printf("service: BAD ready: status %d\n", block.header.status);
	close(fd);
}

/* ---- server --------------------------------------------------------------------------------------- */

static void answer(int connection, int file)
{
	char line[64];
	uint64_t counter = 0;
	ssize_t n;

	while ((n = read(connection, line, sizeof(line) - 1)) > 0) {
		line[n] = '\0';
		if (!strncmp(line, "panic", 5)) {
			int trigger = open("/proc/sysrq-trigger", O_WRONLY);

			if (write(trigger, "c", 1) != 1)
				die("panic");
		}
		if (pread(file, &counter, sizeof(counter), 0) < 0)
			die("counter");
		counter++;
		if (pwrite(file, &counter, sizeof(counter), 0) != sizeof(counter) || fsync(file))
			die("counter");
		n = snprintf(line, sizeof(line), "%llu\n", (unsigned long long)counter);
		if (write(connection, line, (size_t)n) != n)
			return;
	}
}

static _Noreturn void serve(int port, const char *path)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
	int listener = socket(AF_INET, SOCK_STREAM, 0), file = open(path, O_RDWR | O_CREAT, 0600), one = 1;

	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	if (file < 0 || bind(listener, (struct sockaddr *)&address, sizeof(address)) ||
		listen(listener, 16))
		die("listen");
	say_ready();
	printf("service: up\n");
	for (;;) {
		int connection = accept(listener, NULL, NULL);

		if (connection < 0)
			continue;
		answer(connection, file);
		close(connection);
	}
}

/* ---- client --------------------------------------------------------------------------------------- */

static double answered; /* when the last answer came */

/* A twentieth of the wait so far: on a slow host attempts succeed at last, and the wait is measured to 5 %. */
static int wait_for(int fd, short events)
{
	struct pollfd pollfd = {.fd = fd, .events = events};
	int ms = (int)((now() - answered) * 1e3 / 20);

	return poll(&pollfd, 1, ms > TRY_MS ? ms : TRY_MS) == 1 ? 0 : -1;
}

/* A connection, or -1. */
static int try_connect(const struct sockaddr_in *address)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), error = 0;
	socklen_t size = sizeof(error);

	if (!connect(fd, (const struct sockaddr *)address, sizeof(*address)))
		return fd;
	if (errno == EINPROGRESS && !wait_for(fd, POLLOUT) &&
		!getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) && !error)
		return fd;
	close(fd);
	return -1;
}

/* The answer to @line, or 0. */
static uint64_t ask(int fd, const char *line)
{
	char reply[64];
	ssize_t n;

	if (send(fd, line, strlen(line), MSG_NOSIGNAL) < 0 || wait_for(fd, POLLIN))
		return 0;
	n = recv(fd, reply, sizeof(reply) - 1, 0);
	if (n <= 0)
		return 0;
	reply[n] = '\0';
	return strtoull(reply, NULL, 10);
}

static int client(const char *host, int port, unsigned wanted, unsigned panic_every)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
	uint64_t last = 0, reply;
	unsigned answers = 0, panics = 0;
	int fd = -1, down = 0;

	answered = now();
	inet_pton(AF_INET, host, &address.sin_addr);
	while (answers < wanted) {
		if (now() - answered > PATIENCE_S) {
			errno = ETIMEDOUT;
			die("no answer");
		}
		if (fd < 0 && (fd = try_connect(&address)) < 0) {
			usleep(20000);
			continue;
		}
		reply = ask(fd, "next\n");
		if (!reply) {
			close(fd);
			fd = -1;
			continue;
		}
		if (reply <= last) {
			printf("service: BAD answer %llu after %llu\n", (unsigned long long)reply,
				(unsigned long long)last);
			return 1;
		}
		if (down)
			printf("service: down for %.0f ms, answer %llu after %llu\n",
				(now() - answered) * 1e3, (unsigned long long)reply,
				(unsigned long long)last);
		down = 0;
		last = reply;
		answered = now();
		answers++;
		if (answers % panic_every == 0 && answers < wanted) {
			panics++;
			down = 1;
			(void)ask(fd, "panic\n");
			close(fd);
			fd = -1;
		}
	}
	printf("service: %u answers, %u panics, the last answer is %llu\n", answers, panics,
		(unsigned long long)last);
	return 0;
}

/* ---- bytes ---------------------------------------------------------------------------------------- */

#define WORDS 4096

/* The next words of a stream that depends on its seed alone. */
static void next_words(uint64_t *x, uint64_t words[WORDS])
{
	for (size_t i = 0; i < WORDS; i++) {
		*x ^= *x << 13;
		*x ^= *x >> 7;
		*x ^= *x << 17;
		words[i] = *x;
	}
}

static uint64_t first_of(uint64_t seed)
{
	return seed * 0x9e3779b97f4a7c15 + 1;
}

static void send_stream(int fd, uint64_t bytes, uint64_t seed)
{
	uint64_t words[WORDS], x = first_of(seed);

	while (bytes) {
		size_t len = bytes < sizeof(words) ? (size_t)bytes : sizeof(words), done = 0;

		next_words(&x, words);
		while (done < len) {
			ssize_t n = send(fd, (char *)words + done, len - done, MSG_NOSIGNAL);

			if (n < 0)
				die("send");
			done += (size_t)n;
		}
		bytes -= len;
	}
}

static void check_stream(int fd, uint64_t bytes, uint64_t seed)
{
	uint64_t words[WORDS], got[WORDS], x = first_of(seed), at = 0;

	while (at < bytes) {
		size_t len = bytes - at < sizeof(words) ? (size_t)(bytes - at) : sizeof(words);
		ssize_t n = recv(fd, got, len, MSG_WAITALL);

		next_words(&x, words);
		if (n != (ssize_t)len || memcmp(words, got, len)) {
			printf("transfer: BAD bytes near %llu of %llu: %zd of %zu\n",
				(unsigned long long)at, (unsigned long long)bytes, n, len);
			exit(1);
		}
		at += len;
	}
}

static int transfer(int argc, char **argv)
{
	int first = !strcmp(argv[1], "connect"), fd, listener;
	struct sockaddr_in address = {
		.sin_family = AF_INET, .sin_port = htons((uint16_t)atoi(argv[argc - 3]))};
	uint64_t bytes = strtoull(argv[argc - 2], NULL, 10), seed = strtoull(argv[argc - 1], NULL, 10);
	double begin, sent = 0, checked = 0;

	if (first) {
		inet_pton(AF_INET, argv[2], &address.sin_addr);
		fd = socket(AF_INET, SOCK_STREAM, 0);
		if (connect(fd, (struct sockaddr *)&address, sizeof(address)))
			die("connect");
	} else {
		listener = socket(AF_INET, SOCK_STREAM, 0);
		if (bind(listener, (struct sockaddr *)&address, sizeof(address)) || listen(listener, 1))
			die("listen");
		printf("transfer: listening\n");
		fd = accept(listener, NULL, NULL);
		if (fd < 0)
			die("accept");
	}
	for (int step = 0; step < 2; step++) {
		begin = now();
		if ((step == 0) == first) {
			send_stream(fd, bytes, first ? seed : seed + 1);
			sent = now() - begin;
		} else {
			check_stream(fd, bytes, first ? seed + 1 : seed);
			checked = now() - begin;
		}
	}
	printf("transfer: %llu bytes each way as sent, out in %.1f s, in in %.1f s\n",
		(unsigned long long)bytes, sent, checked);
	return 0;
}

int main(int argc, char **argv)
{
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc == 4 && !strcmp(argv[1], "serve"))
		serve(atoi(argv[2]), argv[3]);
	if (argc == 6 && !strcmp(argv[1], "client"))
		return client(argv[2], atoi(argv[3]), (unsigned)atoi(argv[4]), (unsigned)atoi(argv[5]));
	if ((argc == 5 && !strcmp(argv[1], "listen")) || (argc == 6 && !strcmp(argv[1], "connect")))
		return transfer(argc, argv);
	fprintf(stderr, "usage: service serve PORT FILE | client ADDR PORT N P |\n"
			"       listen PORT BYTES SEED | connect ADDR PORT BYTES SEED\n");
	return 2;
}
