/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/linux/disk/service.c - a network service with its state on a disk, its client, and bytes to send about.
 *
 *	service serve PORT FILE         answers each line "next" with the counter in FILE plus one, which is on the disk by
 *	                                then, and "panic" by crashing the kernel; tells minivmm when it is up
 *	service serve-only PORT FILE    the same, where no minivmm is
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
#include <netinet/tcp.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/io.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

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

/* The counter in @file plus @more, which is on the disk then. */
static uint64_t add(int file, uint64_t more)
{
	uint64_t counter = 0;

	if (pread(file, &counter, sizeof(counter), 0) < 0)
		die("counter");
	counter += more;
	if (pwrite(file, &counter, sizeof(counter), 0) != sizeof(counter) || fsync(file))
		die("counter");
	return counter;
}

static void answer(int connection, int file)
{
	char line[64];
	uint64_t counter;
	ssize_t n;

	while ((n = read(connection, line, sizeof(line) - 1)) > 0) {
		line[n] = '\0';
		if (!strncmp(line, "panic", 5)) {
			int trigger = open("/proc/sysrq-trigger", O_WRONLY);

			if (write(trigger, "c", 1) != 1)
				die("panic");
		}
		counter = add(file, 1);
		n = snprintf(line, sizeof(line), "%llu\n", (unsigned long long)counter);
		if (write(connection, line, (size_t)n) != n)
			return;
	}
}

static _Noreturn void serve(int port, const char *path, int tell)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
	int listener = socket(AF_INET, SOCK_STREAM, 0), file = open(path, O_RDWR | O_CREAT, 0600), one = 1;

	setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one));
	/* the first write to a disk takes longer than others: not to be in the first client's time */
	if (file >= 0)
		(void)add(file, 0);
	if (file < 0 || bind(listener, (struct sockaddr *)&address, sizeof(address)) ||
		listen(listener, 16))
		die("listen");
	if (tell)
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

/*
 * While the service is down the client begins an attempt - connect, send "next" - every ATTEMPT_MS, or every hundredth of the
 * wait so far, and takes the first that is answered, however old.  So it sees to 1 % when there is service again, and a
 * slow host has time to answer.  One connection with its retransmissions, 1 s and then twice as long each, would
 * be far coarser; and what waits for the guest when it is up costs it time, so they are not too many.
 */
#define ATTEMPT_MS 50
#define ATTEMPTS 64 /* at a time; the oldest is given up for a new one */

struct attempt {
	int fd; /* -1: none */
	bool sent;
	double begun, connected; /* s; told of the one that is answered */
};

static void attempt_end(struct attempt *attempt)
{
	if (attempt->fd >= 0)
		close(attempt->fd);
	*attempt = (struct attempt){.fd = -1};
}

static void attempt_begin(struct attempt *attempt, const struct sockaddr_in *address)
{
	int once = 1;

	attempt_end(attempt);
	attempt->begun = now();
	attempt->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	/* one retransmission is enough */
	setsockopt(attempt->fd, IPPROTO_TCP, TCP_SYNCNT, &once, sizeof(once));
	if (connect(attempt->fd, (const struct sockaddr *)address, sizeof(*address)) &&
		errno != EINPROGRESS)
		attempt_end(attempt);
}

/* The answer to "next" on @fd, or 0. */
static uint64_t answer_on(int fd)
{
	char reply[64];
	ssize_t n = recv(fd, reply, sizeof(reply) - 1, 0);

	if (n <= 0)
		return 0;
	reply[n] = '\0';
	return strtoull(reply, NULL, 10);
}

/* Something happened to @attempt: asks when it is connected.  The answer, or 0. */
static uint64_t attempt_go_on(struct attempt *attempt)
{
	uint64_t reply;

	if (!attempt->sent) {
		attempt->connected = now();
		attempt->sent = send(attempt->fd, "next\n", 5, MSG_NOSIGNAL) == 5;
		if (!attempt->sent)
			attempt_end(attempt); /* refused */
		return 0;
	}
	reply = answer_on(attempt->fd);
	if (!reply)
		attempt_end(attempt);
	return reply;
}

/* Attempts until there is an answer, which is returned; *@ret_fd is its connection. */
static uint64_t ask_anew(const struct sockaddr_in *address, int *ret_fd)
{
	double begin = now(), last = 0;
	struct attempt attempts[ATTEMPTS];
	struct pollfd polls[ATTEMPTS];
	uint64_t reply = 0;

	for (size_t i = 0; i < ATTEMPTS; i++)
		attempts[i] = (struct attempt){.fd = -1};
	for (size_t next = 0; !reply;) {
		if (now() - last >= ATTEMPT_MS / 1e3 && now() - last >= (now() - begin) / 100) {
			last = now();
			attempt_begin(&attempts[next++ % ATTEMPTS], address);
		}
		for (size_t i = 0; i < ATTEMPTS; i++)
			polls[i] = (struct pollfd){
				.fd = attempts[i].fd, .events = attempts[i].sent ? POLLIN : POLLOUT};
		poll(polls, ATTEMPTS, ATTEMPT_MS / 5);
		for (size_t i = 0; i < ATTEMPTS && !reply; i++) {
			if (polls[i].revents)
				reply = attempt_go_on(&attempts[i]);
			if (reply) {
				*ret_fd = attempts[i].fd;
				printf("service: an attempt of %.3f s was connected at %.3f s and answered "
				       "at %.3f s\n",
					attempts[i].begun, attempts[i].connected, now());
				attempts[i].fd = -1;
			}
		}
		if (now() - begin > PATIENCE_S) {
			errno = ETIMEDOUT;
			die("no answer");
		}
	}
	for (size_t i = 0; i < ATTEMPTS; i++)
		attempt_end(&attempts[i]);
	return reply;
}

/* The answer on the connection @fd, or 0. */
static uint64_t ask(int fd)
{
	struct pollfd pollfd = {.fd = fd, .events = POLLIN};

	if (send(fd, "next\n", 5, MSG_NOSIGNAL) != 5 || poll(&pollfd, 1, PATIENCE_S * 1000) != 1)
		return 0;
	return answer_on(fd);
}

static int client(const char *host, int port, unsigned wanted, unsigned panic_every)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
	uint64_t last = 0, reply;
	unsigned answers = 0, panics = 0;
	double answered = now();
	bool down = false;
	int fd = -1;

	inet_pton(AF_INET, host, &address.sin_addr);
	while (answers < wanted) {
		reply = fd < 0 ? ask_anew(&address, &fd) : ask(fd);
		if (!reply) {
			printf("service: a connection ended by itself\n");
			close(fd);
			fd = -1;
			continue;
		}
		if (reply <= last) {
			printf("service: BAD answer %llu after %llu\n", (unsigned long long)reply,
				(unsigned long long)last);
			return 1;
		}
		/* the times are CLOCK_MONOTONIC, as in minivmm's events */
		if (down)
			printf("service: down for %.0f ms, %.3f to %.3f s, answer %llu after %llu\n",
				(now() - answered) * 1e3, answered, now(), (unsigned long long)reply,
				(unsigned long long)last);
		answered = now();
		down = ++answers % panic_every == 0 && answers < wanted;
		last = reply;
		if (down) {
			panics++;
			if (send(fd, "panic\n", 6, MSG_NOSIGNAL) != 6)
				die("panic");
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
		serve(atoi(argv[2]), argv[3], 1);
	if (argc == 4 && !strcmp(argv[1], "serve-only"))
		serve(atoi(argv[2]), argv[3], 0);
	if (argc == 6 && !strcmp(argv[1], "client"))
		return client(argv[2], atoi(argv[3]), (unsigned)atoi(argv[4]), (unsigned)atoi(argv[5]));
	if ((argc == 5 && !strcmp(argv[1], "listen")) || (argc == 6 && !strcmp(argv[1], "connect")))
		return transfer(argc, argv);
	fprintf(stderr, "usage: service serve|serve-only PORT FILE | client ADDR PORT N P |\n"
			"       listen PORT BYTES SEED | connect ADDR PORT BYTES SEED\n");
	return 2;
}
