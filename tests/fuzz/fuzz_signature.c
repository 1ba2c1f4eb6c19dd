/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/fuzz/fuzz_signature.c - intent: no log of a Linux guest makes the title or the signature read outside a line, run
 * over its room, hold what is not printable, or ask for lines without end.
 *
 * Input: the log's text, a line a record.
 */
#include "tests/fuzz/guest.h"

#include "dump/linux/signature.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* our choice: as many as a report looks at */
#define LINES 2048

struct text {
	const uint8_t *starts[LINES + 1];
	uint64_t nr, asked;
};

static bool get_line(void *arg, uint64_t index, char line[SIGNATURE_LINE_MAX])
{
	struct text *text = arg;
	size_t len;

	must(index < text->nr, "a line that there is");
	text->asked++;
	len = (size_t)(text->starts[index + 1] - text->starts[index]);
	if (len > SIGNATURE_LINE_MAX)
		return false;
	memcpy(line, text->starts[index], len); /* its newline, or what stood there, becomes the end */
	line[len - 1] = '\0';
	return true;
}

static void check_text(const char *text, size_t size)
{
	must(strlen(text) < size, "a text that ends");
	for (; *text; text++)
		must(*text >= ' ' && *text <= '~', "a printable text");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct text text;
	struct signature signature;
	const uint8_t *at = data, *end = data + size;

	text.nr = text.asked = 0;
	while (at < end && text.nr < LINES) {
		const uint8_t *next = memchr(at, '\n', (size_t)(end - at));

		text.starts[text.nr++] = at;
		at = next ? next + 1 : end;
	}
	text.starts[text.nr] = at;
	signature_make(&signature, text.nr, get_line, &text);
	check_text(signature.title, sizeof(signature.title));
	check_text(signature.text, sizeof(signature.text));
	must(!signature.title[0] == !signature.text[0], "both or none");
	must(text.asked <= LINES + 400 * 17 + 200, "bounded work");
	return 0;
}
