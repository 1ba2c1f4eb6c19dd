/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/fuzz/fuzz_bzimage.c - intent: no kernel image makes bzimage_read touch memory or file bytes that are
 * not its own, and what it accepts keeps every promise of bzimage.h.
 *
 * Input: a file as `vm.kernel` would name it.
 */
#include "dump/base/io.h"
#include "tests/fuzz/guest.h"
#include "vmm/boot/bzimage.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* One file for all inputs: making a file each time costs more than parsing it. */
static int image_file(const uint8_t *data, size_t size)
{
	static int fd = -1;

	if (fd < 0)
		fd = memfd_create("fuzz_bzimage", MFD_CLOEXEC);
	must(fd >= 0 && !ftruncate(fd, 0) && !io_pwrite_full(fd, data, size, 0), "a file to read");
	return fd;
}

static void check_accepted(const struct bzimage *image, const uint8_t *data, size_t size)
{
	uint64_t end;

	must(bzimage_probe(data, size), "an accepted file looks like one");
	must(image->file_size && !u64_add_overflows(image->file_off, image->file_size, &end) && end <= size,
		"the kernel is in the file");
	must(image->init_size >= image->file_size, "the kernel fits in its memory");
	must(u64_is_pow2(image->alignment) && image->alignment >= PAGE_SIZE_4K &&
			image->alignment <= GIB(1),
		"the alignment is a power of two");
	must(image->pref_address % image->alignment == 0, "the place is aligned");
	must(image->pref_address + image->init_size <= GIB(4), "the place is below 4 GiB");
	must(image->initrd_max <= UINT32_MAX, "an initrd's address has 32 bits");
	must(image->header_len <= sizeof(image->header), "the header is in its room");
	must(!memcmp(image->header, data + BZIMAGE_HEADER, image->header_len), "the header is the file's");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct bzimage image, before;
	char why[128] = "";
	int err;

	memset(&image, 0x5a, sizeof(image));
	before = image;
	err = bzimage_read(image_file(data, size), &image, why, sizeof(why));
	must(memchr(why, '\0', sizeof(why)), "the reason ends");
	if (!err) {
		check_accepted(&image, data, size);
		return 0;
	}
	must(err < 0, "errors are negative");
	must(!memcmp(&image, &before, sizeof(image)), "a failure leaves the result alone");
	must(err != -EINVAL || why[0], "a refusal says why");
	return 0;
}
