/* SPDX-License-Identifier: Apache-2.0 */
/* tests/debian/guests.c - see guests.h */
#include "tests/debian/guests.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const char *const kernels[NR_KERNELS] = {"6.1", "6.12"};

static bool find(
	const char *test, const char *kernel, const char *image, const char *word, struct guest *ret)
{
	static char image_path[512], initrd[512], cmdline[256];
	const char *dir = getenv("LINUX_DIR");

	snprintf(image_path, sizeof(image_path), "%s/debian/%s/%s", dir ? dir : "build/linux", kernel,
		image);
	snprintf(initrd, sizeof(initrd), "%s/debian/%s/initrd.img", dir ? dir : "build/linux", kernel);
	snprintf(cmdline, sizeof(cmdline), "console=ttyS0 quiet printk.devkmsg=on pci=off panic=-1 do=%s",
		word);
	*ret = (struct guest){
		.kernel = image_path, .initrd = initrd, .cmdline = cmdline, .memory = 256, .vcpus = 2};
	if (!access(image_path, R_OK) && !access(initrd, R_OK))
		return true;
	print_skip(test, image_path);
	return false;
}

int nr_kernels(void)
{
	const char *wanted = getenv("LINUX_KERNELS");

	return wanted && strstr(wanted, kernels[NR_KERNELS - 1]) ? NR_KERNELS : 1;
}

bool linux_guest(const char *test, const char *kernel, const char *word, struct guest *ret)
{
	return find(test, kernel, "vmlinuz", word, ret);
}

bool linux_guest_pvh(const char *test, const char *kernel, const char *word, struct guest *ret)
{
	return find(test, kernel, "vmlinux", word, ret);
}

/* The console is a file that nobody announces changes of: look again, unless minivmm has ended. */
void run_await_said(struct run *run, const char *text)
{
	static char console[1 << 20];
	uint64_t end = now_ns() + RUN_LIMIT_MS * 1000000ull;
	bool ended = false;

	for (;;) {
		struct pollfd vmm = {.fd = run->vmm.pidfd, .events = POLLIN};

		read_file(run->console, console, sizeof(console));
		if (strstr(console, text))
			return;
		run_assert(run, !ended && now_ns() < end, "the console has no '%s'; it ends with:\n%s",
			text, strlen(console) > 1000 ? console + strlen(console) - 1000 : console);
		ended = poll(&vmm, 1, 100) > 0;
	}
}
