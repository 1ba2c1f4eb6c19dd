/* SPDX-License-Identifier: Apache-2.0 */
/* tests/fuzz/guest.c - see guest.h */
#include "tests/fuzz/guest.h"

#include "dump/base/io.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define PLACE_REPEAT 0x8000u
#define REPEATS 64

void must(bool ok, const char *what)
{
	if (!ok) {
		fprintf(stderr, "broken promise: %s\n", what);
		abort();
	}
}

void fuzz_take(const uint8_t **data, size_t *size, void *to, size_t len)
{
	size_t have = *size < len ? *size : len;

	memset(to, 0, len);
	if (have)
		memcpy(to, *data, have);
	*data += have;
	*size -= have;
}

/* Making a file each time costs more than what is tested. */
static int ram_file(const struct dump_layout *layout)
{
	int fd = memfd_create("fuzz-guest", MFD_CLOEXEC);

	must(fd >= 0 && !ftruncate(fd, (off_t)dump_layout_file_size(layout)), "a file for RAM");
	return fd;
}

struct fuzz_guest *fuzz_guest_init(const uint8_t *records, size_t size)
{
	static struct fuzz_guest guest = {.view.fd = -1};

	if (guest.view.fd < 0) {
		must(!dump_layout_init(&guest.layout, FUZZ_RAM, FUZZ_HOLE_START, FUZZ_HOLE_END),
			"a layout");
		guest.view = (struct guest_view){.fd = ram_file(&guest.layout), .layout = &guest.layout};
	}
	memset(guest.ram, 0, sizeof(guest.ram));
	while (size) {
		uint16_t place;
		uint64_t value;

		fuzz_take(&records, &size, &place, sizeof(place));
		fuzz_take(&records, &size, &value, sizeof(value));
		for (unsigned i = 0; i < (place & PLACE_REPEAT ? REPEATS : 1); i++)
			memcpy(guest.ram + (place + i) * 8u % FUZZ_RAM, &value, sizeof(value));
	}
	must(!io_pwrite_full(guest.view.fd, guest.ram, FUZZ_RAM, guest.layout.head), "RAM in the file");
	return &guest;
}
