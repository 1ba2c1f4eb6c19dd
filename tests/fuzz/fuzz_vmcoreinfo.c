/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/fuzz/fuzz_vmcoreinfo.c - intent: no text in place of VMCOREINFO makes the parser read outside it, or
 * give a number that is not written there.
 *
 * Input: the page that the note is in, from its header on.
 */
#include "tests/fuzz/guest.h"

#include "dump/linux/vmcoreinfo.h"

#include <stdio.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct page {
	const uint8_t *data;
	size_t size;
};

static int read_page(void *arg, uint64_t gpa, void *buf, size_t len)
{
	const struct page *page = arg;

	if (gpa > page->size || len > page->size - gpa)
		return -14; /* EFAULT */
	memcpy(buf, page->data + gpa, len);
	return 0;
}

/* Asks for a key, whatever its kind; what is found stands in the text. */
static void ask(const struct vmcoreinfo *info, const char *kind, const char *name)
{
	uint64_t value = 77, measure = 77;
	int64_t number = 77;
	char line[160], text[33];

	if (vmcoreinfo_decimal(info, kind, name, &number)) {
		snprintf(line, sizeof(line), "%s%s%s%s=", kind ? kind : "", kind ? "(" : "", name,
			kind ? ")" : "");
		must(strstr(info->text, line), "what is found is there");
	}
	if (vmcoreinfo_measure(info, kind, name, 4096, &measure))
		must(measure <= 4096 && (uint64_t)number == measure, "a measure is a number in bounds");
	else
		must(measure == 77, "no result without one");
	if (!vmcoreinfo_hex(info, kind, name, &value))
		must(value == 77, "no result without one");
	vmcoreinfo_string(info, name, text, sizeof(text));
	must(strlen(text) < sizeof(text), "texts end");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct page page = {data, size};
	struct guest_view view = {.fd = -1, .read = read_page, .arg = &page};
	struct vmcoreinfo info;

	if (!vmcoreinfo_at(&view, 0, &info))
		return 0;
	must(info.len && info.len <= VMCOREINFO_TEXT_MAX && strlen(info.text) == info.len,
		"a text of its length");
	must(!strncmp(info.text, "OSRELEASE=", 10), "begins as it must");
	ask(&info, "SYMBOL", "mem_section");
	ask(&info, "NUMBER", "phys_base");
	ask(&info, "OFFSET", "page.flags");
	ask(&info, "SIZE", "page");
	ask(&info, NULL, "OSRELEASE");
	ask(&info, NULL, "KERNELOFFSET");
	return 0;
}
