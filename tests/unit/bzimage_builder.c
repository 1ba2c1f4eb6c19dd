/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/bzimage_builder.c - see bzimage_builder.h */
#include "tests/unit/bzimage_builder.h"

#include "dump/base/io.h"

#include <check.h>
#include <string.h>
#include <sys/mman.h>

void bzimage_builder_put(struct bzimage_builder *b, uint32_t off, uint64_t value, size_t len)
{
	memcpy(b->bytes + off, &value, len);
}

void bzimage_builder_init(struct bzimage_builder *b)
{
	static const struct {
		uint32_t off, len;
		uint64_t value;
	} fields[] = {
		{0x1f1, 1, 3},                                  /* setup_sects */
		{0x1f4, 4, (BZIMAGE_BUILDER_KERNEL + 15) / 16}, /* syssize */
		{0x1fe, 2, 0xaa55},                             /* boot_flag */
		{0x200, 2, 0x6aeb},                             /* jump over the header, to 0x26c */
		{0x202, 4, 0x53726448},                         /* HdrS */
		{0x206, 2, 0x020f},                             /* version */
		{0x211, 1, 0x01},                               /* loadflags: LOADED_HIGH */
		{0x22c, 4, 0x7fffffff},                         /* initrd_addr_max */
		{0x230, 4, 0x200000},                           /* kernel_alignment */
		{0x234, 1, 1},                                  /* relocatable_kernel */
		{0x236, 2, 0x7f},                               /* xloadflags */
		{0x238, 4, 2047},                               /* cmdline_size */
		{0x258, 8, BZIMAGE_BUILDER_PREF},               /* pref_address */
		{0x260, 4, BZIMAGE_BUILDER_INIT_SIZE},          /* init_size */
		{0x268, 4, 0x12345678},                         /* the header's last field here */
	};

	memset(b, 0, sizeof(*b));
	for (size_t i = 0; i < ARRAY_LEN(fields); i++)
		bzimage_builder_put(b, fields[i].off, fields[i].value, fields[i].len);
	for (size_t i = 0; i < BZIMAGE_BUILDER_KERNEL; i++)
		b->bytes[BZIMAGE_BUILDER_SETUP + i] = (uint8_t)(i * 7);
	b->len = sizeof(b->bytes);
}

int bzimage_builder_file(const struct bzimage_builder *b)
{
	int fd = memfd_create("bzImage", MFD_CLOEXEC);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(io_pwrite_full(fd, b->bytes, b->len, 0), 0);
	return fd;
}
