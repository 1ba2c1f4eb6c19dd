/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dump/base/sort.h - sorting that needs nothing but the array.
 *
 * For what the dumper runs in its sandbox, on arrays that a guest has a say in.  glibc's qsort() asks the system how
 * much memory there is (sysinfo(2), which the filter kills for) once an array is larger than 1 KiB, and allocates.
 * This one never does, and needs n log n steps whatever the order is.
 */
#ifndef DUMP_BASE_SORT_H
#define DUMP_BASE_SORT_H

#include <stddef.h>

/* Less than, equal to or greater than 0, as qsort_r(3)'s; @arg is the caller's. */
typedef int sort_compare(const void *a, const void *b, void *arg);

/*
 * sort_array - sort @nr elements of @size bytes, ascending; equal ones may change their order.
 * Locks: none.
 */
void sort_array(void *array, size_t nr, size_t size, sort_compare *compare, void *arg);

#endif /* DUMP_BASE_SORT_H */
