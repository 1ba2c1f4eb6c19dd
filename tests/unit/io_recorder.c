/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/io_recorder.c - see io_recorder.h */
#include "tests/unit/io_recorder.h"

#include <pthread.h>
#include <string.h>

static const char *const words[IO_NR_CALLS] = {
	[IO_PWRITE] = "data",
	[IO_FALLOCATE] = "release",
	[IO_SYNC] = "sync",
	[IO_SYNC_DIR] = "dir",
	[IO_LINK] = "name",
	[IO_UNLINK] = "remove",
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static char text[4096];
static const char *last;
static unsigned calls[IO_NR_CALLS], fail_nth;
static enum io_call fail_call;
static int fail_error;

static int record(enum io_call call, size_t *len)
{
	int error;

	(void)len;
	pthread_mutex_lock(&lock);
	error = ++calls[call] == fail_nth && call == fail_call ? fail_error : 0;
	if (words[call] && words[call] != last && strlen(text) + strlen(words[call]) + 2 < sizeof(text)) {
		last = words[call];
		strcat(text, text[0] ? " " : "");
		strcat(text, last);
	}
	pthread_mutex_unlock(&lock);
	return error;
}

void io_recorder_start(enum io_call fail, unsigned nth, int error)
{
	text[0] = '\0';
	last = NULL;
	memset(calls, 0, sizeof(calls));
	fail_call = fail;
	fail_nth = nth;
	fail_error = error;
	io_test_hook = record;
}

const char *io_recorder_stop(void)
{
	io_test_hook = NULL;
	return text;
}

unsigned io_recorder_calls(enum io_call call)
{
	return calls[call];
}
