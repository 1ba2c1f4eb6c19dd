/* SPDX-License-Identifier: Apache-2.0 */
/* dump/select/select.c - see select.h */
#include "dump/select/select.h"

#include "dump/base/cleanup.h"
#include "dump/base/bitmap.h"
#include "dump/engine/engine.h"
#include "dump/region/guest_view.h"
#include "dump/select/select_list.h"
#include "dump/select/select_pages.h"
#include "dump/engine/tables.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* ---- the set -------------------------------------------------------------------------------------- */

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

/* Decimal, 0 .. DUMP_SELECT_LEVEL_MAX, one or two digits. */
static bool parse_level(const char *text, size_t len, uint32_t *ret)
{
	uint32_t value = 0;

	if (!len || len > 2)
		return false;
	for (size_t i = 0; i < len; i++) {
		if (text[i] < '0' || text[i] > '9')
			return false;
		value = value * 10 + (uint32_t)(text[i] - '0');
	}
	*ret = value;
	return value <= DUMP_SELECT_LEVEL_MAX;
}

/* What @level of the selector `linux` is as a set; bit 0 of it is the selector `zero`'s work. */
static uint32_t set_of_level(uint32_t level)
{
	if (!level)
		return DUMP_SELECT_ALL;
	return DUMP_SELECT_LINUX | level << DUMP_SELECT_LEVEL_SHIFT | (level & 1 ? DUMP_SELECT_ZERO : 0);
}

/* The selector named by the @len bytes at @name without blanks around them, as a set; or 0. */
static uint32_t find_selector(const char *name, size_t len)
{
	const char *colon;
	size_t name_len;

	while (len && is_blank(*name)) {
		name++;
		len--;
	}
	while (len && is_blank(name[len - 1]))
		len--;
	colon = memchr(name, ':', len);
	name_len = colon ? (size_t)(colon - name) : len;
	for (size_t i = 0; i < dump_nr_selectors; i++) {
		uint32_t level = DUMP_SELECT_LEVEL_MAX;

		if (strlen(dump_selectors[i].name) != name_len ||
			memcmp(dump_selectors[i].name, name, name_len))
			continue;
		if (colon && (1u << i != DUMP_SELECT_LINUX ||
				     !parse_level(colon + 1, len - name_len - 1, &level)))
			return 0;
		return 1u << i == DUMP_SELECT_LINUX ? set_of_level(level) : 1u << i;
	}
	return 0;
}

int dump_select_parse(const char *text, uint32_t *ret_mask)
{
	uint32_t mask = 0;

	for (;;) {
		size_t len = strcspn(text, ",");
		uint32_t bits = find_selector(text, len);

		if (!bits)
			return -EINVAL;
		if (bits >> DUMP_SELECT_LEVEL_SHIFT)
			mask &= DUMP_SELECT_SET; /* the last level counts */
		mask |= bits;
		if (!text[len])
			break;
		text += len + 1;
	}
	*ret_mask = mask == DUMP_SELECT_ALL ? mask : mask & ~DUMP_SELECT_ALL;
	return 0;
}

void dump_select_format(uint32_t mask, char *buf, size_t size)
{
	size_t len = 0;

	if (size)
		buf[0] = '\0';
	for (size_t i = 0; i < dump_nr_selectors && len < size; i++) {
		if (!(mask & 1u << i))
			continue;
		len += (size_t)snprintf(
			buf + len, size - len, "%s%s", len ? "," : "", dump_selectors[i].name);
		if (1u << i == DUMP_SELECT_LINUX && len < size)
			len += (size_t)snprintf(buf + len, size - len, ":%u", dump_select_level(mask));
	}
}

bool dump_select_is_valid(uint32_t mask)
{
	uint32_t set = mask & DUMP_SELECT_SET;
	uint32_t level = dump_select_level(mask);

	return set && !(set >> dump_nr_selectors) && mask >> DUMP_SELECT_LEVEL_SHIFT == level &&
	       (set == DUMP_SELECT_ALL || !(set & DUMP_SELECT_ALL)) &&
	       !!(set & DUMP_SELECT_LINUX) == !!level && (!(level & 1) || set & DUMP_SELECT_ZERO);
}

/* ---- the run -------------------------------------------------------------------------------------- */

static uint64_t nr_pages(const struct dump_engine *engine)
{
	return engine->layout.ram / PAGE_SIZE_4K;
}

static uint64_t nr_words(const struct dump_engine *engine)
{
	return (nr_pages(engine) + 63) / 64;
}

void dump_select_distrust(struct dump_engine *engine, const char *name, const char *why)
{
	size_t len = strlen(engine->distrust);

	snprintf(engine->distrust + len, sizeof(engine->distrust) - len, "%s%s: %s", len ? "; " : "", name,
		why);
	for (size_t i = 0; i < dump_nr_selectors; i++)
		if (!strcmp(dump_selectors[i].name, name))
			engine->distrusted |= 1u << i;
}

/* Own memory for engine->copy if a selector decides chunk by chunk; otherwise it is the page bitmap. */
static int make_copy(struct dump_engine *engine)
{
	engine->copy = engine->tail.selected;
	for (size_t i = 0; i < dump_nr_selectors; i++)
		if (engine->selectors & 1u << i && dump_selectors[i].chunk)
			engine->copy = NULL;
	if (engine->copy)
		return 0;
	engine->copy = malloc(nr_words(engine) * sizeof(uint64_t));
	if (!engine->copy)
		return -ENOMEM;
	memcpy(engine->copy, engine->tail.selected, nr_words(engine) * sizeof(uint64_t));
	return 0;
}

int dump_select_prepare(struct dump_engine *engine)
{
	uint64_t left = nr_pages(engine);

	for (size_t i = 0; i < dump_nr_selectors; i++) {
		uint64_t before = left;
		int r;

		if (!(engine->selectors & 1u << i) || !dump_selectors[i].prepare)
			continue;
		r = dump_selectors[i].prepare(engine);
		if (r)
			return r;
		left = bitmap_count(engine->tail.selected, nr_pages(engine));
		engine->excluded[i] = before - left;
	}
	return make_copy(engine);
}

int dump_select_resume(struct dump_engine *engine)
{
	/* as select_linux() did */
	if (engine->distrusted & engine->selectors & DUMP_SELECT_LINUX)
		engine->selectors |= DUMP_SELECT_ZERO;
	return make_copy(engine);
}

void dump_select_fini(struct dump_engine *engine)
{
	if (engine->copy != engine->tail.selected)
		free(engine->copy);
	engine->copy = NULL;
}

int dump_select_chunk(struct dump_engine *engine, uint64_t index)
{
	for (size_t i = 0; i < dump_nr_selectors; i++) {
		uint64_t excluded = 0;
		int r;

		if (!(engine->selectors & 1u << i) || !dump_selectors[i].chunk)
			continue;
		r = dump_selectors[i].chunk(engine, index, &excluded);
		if (r)
			return r;
		atomic_fetch_add_explicit(&engine->excluded[i], excluded, memory_order_relaxed);
	}
	return 0;
}

/* ---- selectors that decide at once ------------------------------------------------------------------ */

int select_list(struct dump_engine *engine)
{
	const struct guest_view view = {.fd = engine->region_fd, .layout = &engine->layout};
	autofree uint64_t *wanted = calloc(nr_words(engine), sizeof(*wanted));
	const char *why;

	if (!wanted)
		return -ENOMEM;
	why = select_list_mark(&view, engine->record, wanted, &engine->list_ignored);
	if (why) {
		dump_select_distrust(engine, "list", why);
		return 0;
	}
	for (uint64_t i = 0; i < nr_words(engine); i++)
		engine->tail.selected[i] &= wanted[i];
	return 0;
}

int select_pages(struct dump_engine *engine)
{
	const struct guest_view view = {.fd = engine->region_fd, .layout = &engine->layout};
	const struct fw_panic *panic = &engine->record->panic;
	autofree uint64_t *unused = calloc(nr_words(engine), sizeof(*unused));
	const char *why;

	if (!unused)
		return -ENOMEM;
	why = select_pages_mark(&view, panic->page_desc, panic->nr_page_desc, unused);
	if (why) {
		dump_select_distrust(engine, "pages", why);
		return 0;
	}
	for (uint64_t i = 0; i < nr_words(engine); i++)
		engine->tail.selected[i] &= ~unused[i];
	return 0;
}
