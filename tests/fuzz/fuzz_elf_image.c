/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/fuzz/fuzz_elf_image.c - intent: no kernel image makes elf_image_read touch memory or file
 * bytes that are not its own, and what it accepts keeps every promise of elf_image.h.
 *
 * Input: a file as `vm.kernel` would name it.
 */
#include "dump/base/io.h"
#include "vmm/boot/elf_image.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Not assert(): a fuzzer's build must not lose it to NDEBUG. */
static void must(bool ok, const char *what)
{
	if (!ok) {
		fprintf(stderr, "fuzz_elf_image: broken promise: %s\n", what);
		abort();
	}
}

/* One file for all inputs: making a file each time costs more than parsing it. */
static int image_file(const uint8_t *data, size_t size)
{
	static int fd = -1;

	if (fd < 0)
		fd = memfd_create("fuzz_elf_image", MFD_CLOEXEC);
	must(fd >= 0 && !ftruncate(fd, 0) && !io_pwrite_full(fd, data, size, 0), "a file to read");
	return fd;
}

static void check_accepted(const struct elf_image *image, size_t size)
{
	must(image->nr_segments >= 1 && image->nr_segments <= ELF_IMAGE_SEGMENTS_MAX, "1 to 32 segments");
	for (uint32_t i = 0; i < image->nr_segments; i++) {
		const struct elf_segment *segment = &image->segments[i];
		uint64_t end;

		must(segment->file_size <= segment->mem_size, "a segment's bytes fit in its memory");
		must(!u64_add_overflows(segment->gpa, segment->mem_size, &end), "no segment wraps");
		must(!u64_add_overflows(segment->file_off, segment->file_size, &end) && end <= size,
			"a segment's bytes are in the file");
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct elf_image image, before;
	char why[128] = "";
	int err;

	memset(&image, 0x5a, sizeof(image));
	before = image;
	err = elf_image_read(image_file(data, size), &image, why, sizeof(why));
	must(memchr(why, '\0', sizeof(why)), "the reason ends");
	if (!err) {
		check_accepted(&image, size);
		return 0;
	}
	must(err < 0, "errors are negative");
	must(!memcmp(&image, &before, sizeof(image)), "a failure leaves the result alone");
	must(err != -EINVAL || why[0], "a refusal says why");
	return 0;
}
