/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench/ideal.h - what the ideal programs share: threads that are pinned, the clock, numbers on the command line.
 *
 * Static functions, since each of these programs is one object file.  Shares no code with the project, so that it
 * cannot share its mistakes.
 */
#ifndef BENCH_IDEAL_H
#define BENCH_IDEAL_H

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define IDEAL_THREADS_MAX 64
#define IDEAL_RUNS_MAX 1000

struct ideal_worker {
	int (*work)(void *job); /* until no work is left; returns 0 or -errno */
	void *job;              /* borrowed from the caller of ideal_threads(), shared by all */
	pthread_t thread;
	int cpu;    /* to be pinned to; -1 = not */
	int status; /* what work returned; read after the join */
};

static inline double ideal_seconds(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* The @n-th CPU this process may use, counted round and round. */
static inline int ideal_nth_cpu(unsigned n)
{
	cpu_set_t set;
	int count;

	if (sched_getaffinity(0, sizeof(set), &set))
		return -1;
	count = CPU_COUNT(&set);
	if (count <= 0)
		return -1;
	n %= (unsigned)count;
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
		if (CPU_ISSET(cpu, &set) && !n--)
			return cpu;
	return -1;
}

/* A number with an optional K, M or G. */
static inline bool ideal_size(const char *text, uint64_t *ret)
{
	char *end;
	uint64_t value;
	unsigned shift = 0;

	errno = 0;
	value = strtoull(text, &end, 10);
	if (errno || end == text || *text == '-')
		return false;
	if (*end && strchr("KMG", *end))
		shift = *end == 'K' ? 10 : *end == 'M' ? 20 : 30, end++;
	if (*end || !value || value > UINT64_MAX >> shift)
		return false;
	*ret = value << shift;
	return true;
}

static inline bool ideal_count(const char *text, unsigned max, unsigned *ret)
{
	uint64_t value;

	if (!ideal_size(text, &value) || value > max)
		return false;
	*ret = (unsigned)value;
	return true;
}

static inline int ideal_by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static inline void *ideal_worker_main(void *arg)
{
	struct ideal_worker *worker = arg;

	if (worker->cpu >= 0) {
		cpu_set_t set;

		CPU_ZERO(&set);
		CPU_SET(worker->cpu, &set);
		(void)pthread_setaffinity_np(pthread_self(), sizeof(set), &set);
	}
	worker->status = worker->work(worker->job);
	return NULL;
}

/*
 * ideal_threads - runs @work(@job) on @count threads and waits for all of them.
 * Units:  *@ret_seconds: from before the first thread is made until the last has ended.
 * Errors: -errno of pthread_create, else the first one that @work returned.
 */
static inline int ideal_threads(unsigned count, int (*work)(void *job), void *job, double *ret_seconds)
{
	struct ideal_worker workers[IDEAL_THREADS_MAX] = {0};
	double start = ideal_seconds();
	unsigned started = 0;
	int r = 0;

	for (; started < count && !r; started++) {
		struct ideal_worker *worker = &workers[started];

		/* Left alone, the scheduler may keep two busy threads on one CPU for seconds. */
		*worker = (struct ideal_worker){
			.work = work, .job = job, .cpu = count > 1 ? ideal_nth_cpu(started) : -1};
		r = -pthread_create(&worker->thread, NULL, ideal_worker_main, worker);
		if (r)
			break;
	}
	for (unsigned i = 0; i < started; i++) {
		pthread_join(workers[i].thread, NULL);
		r = r ? r : workers[i].status;
	}
	*ret_seconds = ideal_seconds() - start;
	return r;
}

#endif
