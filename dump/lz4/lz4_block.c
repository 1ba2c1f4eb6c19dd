/* SPDX-License-Identifier: Apache-2.0 */
/* dump/lz4/lz4_block.c - see lz4_writer_impl.h; what both the file's ends and the chunks between them need */
#include "dump/lz4/lz4_writer_impl.h"

#include <lz4.h>

size_t lz4_buffer_bytes(const struct lz4_writer *writer)
{
	return LZ4_BLOCK_AROUND + LZ4_COMPRESSBOUND(writer->options.image.chunk);
}

uint32_t lz4_compress_block(
	void *state, const void *data, uint32_t len, unsigned char *out, int acceleration)
{
	int n = LZ4_compress_fast_extState(state, data, (char *)out + LZ4_BLOCK_HEADER, (int)len,
		LZ4_COMPRESSBOUND((int)len), acceleration);

	if (n <= 0 || (uint32_t)n >= len)
		return 0;
	lz4_put32(out, (uint32_t)n);
	lz4_put32(out + LZ4_BLOCK_HEADER + n, lz4_sum_of(out + LZ4_BLOCK_HEADER, (size_t)n));
	return (uint32_t)n;
}

int lz4_writer_fail(struct lz4_writer *writer, int error)
{
	int none = 0;

	pthread_mutex_lock(&writer->lock);
	atomic_compare_exchange_strong(&writer->error, &none, error);
	pthread_cond_broadcast(&writer->moved);
	pthread_mutex_unlock(&writer->lock);
	return error;
}
