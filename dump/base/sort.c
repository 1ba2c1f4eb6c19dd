/* SPDX-License-Identifier: Apache-2.0 */
/* dump/base/sort.c - see sort.h: heapsort */
#include "dump/base/sort.h"

struct heap {
	unsigned char *array;
	size_t nr, size;
	sort_compare *compare;
	void *arg;
};

static void swap(struct heap *heap, size_t i, size_t j)
{
	unsigned char *a = heap->array + i * heap->size, *b = heap->array + j * heap->size;

	for (size_t k = 0; k < heap->size; k++) {
		unsigned char byte = a[k];

		a[k] = b[k];
		b[k] = byte;
	}
}

static int compare(const struct heap *heap, size_t i, size_t j)
{
	return heap->compare(heap->array + i * heap->size, heap->array + j * heap->size, heap->arg);
}

/* Lets element @at sink until none below it is greater. */
static void sink(struct heap *heap, size_t at)
{
	while (2 * at + 1 < heap->nr) {
		size_t child = 2 * at + 1;

		if (child + 1 < heap->nr && compare(heap, child + 1, child) > 0)
			child++;
		if (compare(heap, at, child) >= 0)
			return;
		swap(heap, at, child);
		at = child;
	}
}

void sort_array(void *array, size_t nr, size_t size, sort_compare *by, void *arg)
{
	struct heap heap = {.array = array, .nr = nr, .size = size, .compare = by, .arg = arg};

	for (size_t at = nr / 2; at-- > 0;)
		sink(&heap, at);
	while (heap.nr > 1) {
		heap.nr--;
		swap(&heap, 0, heap.nr);
		sink(&heap, 0);
	}
}
