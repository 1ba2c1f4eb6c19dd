/* SPDX-License-Identifier: Apache-2.0 */
/* vmm/boot/bzimage.c - see bzimage.h */
#include "vmm/boot/bzimage.h"

#include "dump/base/io.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

/* boot.rst, "The Real-Mode Kernel Header": offsets in the file */
#define OFF_SETUP_SECTS 0x1f1
#define OFF_SYSSIZE 0x1f4
#define OFF_BOOT_FLAG 0x1fe
#define OFF_JUMP_LEN 0x201 /* second byte of the jump: the header's end, from OFF_MAGIC */
#define OFF_MAGIC 0x202
#define OFF_VERSION 0x206
#define OFF_LOADFLAGS 0x211
#define OFF_INITRD_MAX 0x22c
#define OFF_ALIGNMENT 0x230
#define OFF_RELOCATABLE 0x234
#define OFF_XLOADFLAGS 0x236
#define OFF_CMDLINE_MAX 0x238
#define OFF_PREF_ADDRESS 0x258
#define OFF_INIT_SIZE 0x260
#define FIELDS_END 0x264 /* of what is used here */

#define BOOT_FLAG 0xaa55u
#define MAGIC 0x53726448u  /* "HdrS" */
#define VERSION_MIN 0x020c /* the first with xloadflags, 2013 */
#define LOADED_HIGH 0x01u
#define XLF_KERNEL_64 0x01u
#define SECTOR 512u
#define SETUP_SECTS_OF_0 4u /* boot.rst: 0 means 4 */
#define PARAGRAPH 16u       /* unit of syssize */

/* our choices: a kernel and its memory are below 4 GiB, where the identity map of the entry is */
#define ADDRESS_MAX GIB(4)

#define BAD(...) (snprintf(why, why_size, __VA_ARGS__), -EINVAL)

static uint64_t field(const uint8_t *start, uint32_t off, uint32_t len)
{
	uint64_t value = 0;

	memcpy(&value, start + off, len); /* little-endian, as the host is */
	return value;
}

bool bzimage_probe(const uint8_t *start, size_t len)
{
	return len >= OFF_MAGIC + 4 && field(start, OFF_BOOT_FLAG, 2) == BOOT_FLAG &&
	       field(start, OFF_MAGIC, 4) == MAGIC;
}

static int check_protocol(const uint8_t *start, char *why, size_t why_size)
{
	uint64_t version = field(start, OFF_VERSION, 2);

	if (!bzimage_probe(start, BZIMAGE_HEADER_END))
		return BAD("not a bzImage");
	if (version < VERSION_MIN)
		return BAD("boot protocol %u.%02u, need 2.12 or later", (unsigned)(version >> 8),
			(unsigned)(version & 0xff));
	if (!(field(start, OFF_LOADFLAGS, 1) & LOADED_HIGH))
		return BAD("a zImage, to be loaded below 1 MiB; need a bzImage");
	if (!(field(start, OFF_XLOADFLAGS, 2) & XLF_KERNEL_64))
		return BAD("the kernel has no 64-bit entry point");
	if (start[OFF_JUMP_LEN] + OFF_MAGIC < FIELDS_END)
		return BAD("setup header of %u bytes, too short for protocol 2.12",
			start[OFF_JUMP_LEN] + OFF_MAGIC - BZIMAGE_HEADER);
	return 0;
}

/* Where the kernel proper lies in the file. */
static int read_extent(
	const uint8_t *start, uint64_t file_size, struct bzimage *image, char *why, size_t why_size)
{
	uint64_t sectors = field(start, OFF_SETUP_SECTS, 1);
	uint64_t bytes = field(start, OFF_SYSSIZE, 4) * PARAGRAPH;

	image->file_off = (1 + (sectors ? sectors : SETUP_SECTS_OF_0)) * SECTOR;
	/* syssize is rounded up, the file need not be */
	if (!bytes || image->file_off >= file_size || file_size - image->file_off + PARAGRAPH <= bytes)
		return BAD("the file has %llu bytes, its header tells of %llu",
			(unsigned long long)file_size, (unsigned long long)(image->file_off + bytes));
	image->file_size = u64_min(bytes, file_size - image->file_off);
	return 0;
}

static int read_placement(const uint8_t *start, struct bzimage *image, char *why, size_t why_size)
{
	image->init_size = u64_max(field(start, OFF_INIT_SIZE, 4), image->file_size);
	image->pref_address = field(start, OFF_PREF_ADDRESS, 8);
	image->alignment = field(start, OFF_ALIGNMENT, 4);
	image->relocatable = field(start, OFF_RELOCATABLE, 1);
	image->initrd_max = field(start, OFF_INITRD_MAX, 4);
	image->cmdline_max = (uint32_t)field(start, OFF_CMDLINE_MAX, 4);
	if (!u64_is_pow2(image->alignment) || image->alignment < PAGE_SIZE_4K || image->alignment > GIB(1))
		return BAD("kernel alignment 0x%llx is no power of two from 4 KiB to 1 GiB",
			(unsigned long long)image->alignment);
	if (image->pref_address % image->alignment || image->pref_address >= ADDRESS_MAX ||
		image->init_size > ADDRESS_MAX - image->pref_address)
		return BAD("load address 0x%llx (0x%llx bytes) is not aligned or not below 4 GiB",
			(unsigned long long)image->pref_address, (unsigned long long)image->init_size);
	return 0;
}

int bzimage_read(int fd, struct bzimage *ret, char *why, size_t why_size)
{
	uint8_t start[BZIMAGE_HEADER_END];
	struct bzimage image = {0};
	struct stat st;
	int err;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return BAD("not a regular file");
	if ((uint64_t)st.st_size < sizeof(start))
		return BAD("not a bzImage: only %lld bytes", (long long)st.st_size);
	err = io_pread_full(fd, start, sizeof(start), 0);
	if (err)
		return err;
	err = check_protocol(start, why, why_size);
	if (!err)
		err = read_extent(start, (uint64_t)st.st_size, &image, why, why_size);
	if (!err)
		err = read_placement(start, &image, why, why_size);
	if (err)
		return err;
	image.header_len = (uint32_t)u64_min(
		start[OFF_JUMP_LEN] + OFF_MAGIC - BZIMAGE_HEADER, sizeof(image.header));
	memcpy(image.header, start + BZIMAGE_HEADER, image.header_len);
	*ret = image;
	return 0;
}
