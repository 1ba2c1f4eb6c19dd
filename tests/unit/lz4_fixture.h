/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/lz4_fixture.h - an image with known contents, and threads that put it into an LZ4 file.
 *
 * Helpers end the test (ck_abort) when the host refuses, unless they return an error.
 */
#ifndef TESTS_UNIT_LZ4_FIXTURE_H
#define TESTS_UNIT_LZ4_FIXTURE_H

#include "dump/lz4/lz4_reader.h"
#include "dump/lz4/lz4_writer.h"

#include <stdbool.h>

enum lz4_content { LZ4_RANDOM, LZ4_TEXT, LZ4_ZEROS, LZ4_MIXED, LZ4_NR_CONTENTS };

struct lz4_fixture {
	struct lz4_image image;
	unsigned char *bytes;    /* owned: the whole image; chunks of zeros are holes */
	struct lz4_table *table; /* owned, shared with children */
	int fd;                  /* owned memfd; the LZ4 file */
	uint32_t spares;
	void (*written)(void *arg, uint64_t chunk, uint64_t count, uint64_t tag); /* NULL = none */
	struct lz4_writer *writer;
	_Atomic uint64_t next; /* chunk that no thread has taken */
};

/* Contents are a function of the arguments. */
void lz4_fixture_init(struct lz4_fixture *fixture, const struct lz4_image *image, enum lz4_content content);
void lz4_fixture_fini(struct lz4_fixture *fixture);

/* Starts @fixture->writer on the emptied file. */
int warn_unused lz4_fixture_start(struct lz4_fixture *fixture);

/* Hands in @chunk in one run, or in several with zeros between them. */
int warn_unused lz4_fixture_put(struct lz4_fixture *fixture, struct lz4_worker *worker, uint64_t chunk);

/* All chunks by @threads threads; the zero chunks partly by lz4_writer_zeros. */
int warn_unused lz4_fixture_put_all(struct lz4_fixture *fixture, unsigned threads);

/* Finish, head and tail, and the writer destroyed. */
int warn_unused lz4_fixture_end(struct lz4_fixture *fixture);

/* The whole way: start, put_all, end. */
int warn_unused lz4_fixture_write(struct lz4_fixture *fixture, unsigned threads);

/* The reader gives the image: as a whole, and in pieces of odd places and lengths. */
void lz4_fixture_check_reader(const struct lz4_fixture *fixture, struct lz4_reader *reader);

/* `lz4 -d` gives the image. */
void lz4_fixture_check_tool(const struct lz4_fixture *fixture);

/* Every chunk that the table names can be read and is right.  Returns how many. */
uint64_t lz4_fixture_check_partial(const struct lz4_fixture *fixture);

#endif /* TESTS_UNIT_LZ4_FIXTURE_H */
