/* SPDX-License-Identifier: Apache-2.0 */
/* dump/linux/linux_symbols.c - see linux_symbols.h */
#include "dump/linux/linux_symbols.h"

#include "dump/base/cleanup.h"

#include <errno.h>
#include <string.h>

#define TOKENS 256
/* our choice: tokens are a few characters; the table of a real kernel is about 1,000 bytes */
#define TOKEN_TABLE_MAX 16384
/* what is read at a time of a table whose length nobody tells */
#define BLOCK KIB(64)
#define KERNEL_6_0 0x0600u

struct linux_symbols {
	uint32_t nr;
	uint64_t *addresses;    /* owned: ascending, UINT64_MAX for what has none */
	uint32_t *names;        /* owned: place of each in @bytes */
	unsigned char *bytes;   /* owned: compressed names */
	size_t nr_bytes, room;  /* read so far; allocated */
	uint16_t index[TOKENS]; /* place of each token in @tokens */
	char tokens[TOKEN_TABLE_MAX + 1];
	uint64_t text, text_end; /* _stext, _etext */
};

void linux_symbols_free(struct linux_symbols *symbols)
{
	if (!symbols)
		return;
	free(symbols->addresses);
	free(symbols->names);
	free(symbols->bytes);
	free(symbols);
}

/* ---- names ---------------------------------------------------------------------------------------------- */

/* Makes the first @need bytes of the names at @gva be in memory. */
static bool need_bytes(
	struct linux_symbols *symbols, struct linux_kernel *kernel, uint64_t gva, size_t need)
{
	while (symbols->nr_bytes < need) {
		size_t part = BLOCK;

		if (need > LINUX_SYMBOL_BYTES_MAX)
			return false;
		if (symbols->nr_bytes + BLOCK > symbols->room) {
			size_t room = symbols->room * 2 + BLOCK;
			unsigned char *bytes = realloc(symbols->bytes, room);

			if (!bytes)
				return false;
			symbols->bytes = bytes;
			symbols->room = room;
		}
		/* the tables may end right before what is not mapped */
		while (part && linux_kernel_read(kernel, gva + symbols->nr_bytes,
				       symbols->bytes + symbols->nr_bytes, part))
			part /= 2;
		if (!part)
			return false;
		symbols->nr_bytes += part;
	}
	return true;
}

/* Bytes of the length field of the name at @at, and the length. */
static size_t name_length(const unsigned char *at, size_t *ret)
{
	if (!(at[0] & 0x80)) {
		*ret = at[0];
		return 1;
	}
	*ret = (at[0] & 0x7f) | (size_t)at[1] << 7;
	return 2;
}

static bool load_names(struct linux_symbols *symbols, struct linux_kernel *kernel, uint64_t gva)
{
	size_t at = 0;

	for (uint32_t i = 0; i < symbols->nr; i++) {
		size_t len;

		if (!need_bytes(symbols, kernel, gva, at + 2))
			return false;
		symbols->names[i] = (uint32_t)at;
		at += name_length(symbols->bytes + at, &len);
		at += len;
		if (!need_bytes(symbols, kernel, gva, at))
			return false;
	}
	return true;
}

/* Type and name of symbol @nr; what is not printable becomes '?'. */
static void expand(
	const struct linux_symbols *symbols, uint32_t nr, char *ret_type, char name[LINUX_SYMBOL_NAME_MAX])
{
	const unsigned char *at = symbols->bytes + symbols->names[nr];
	size_t tokens, len = 0;
	bool first = true;

	at += name_length(at, &tokens);
	*ret_type = '?';
	/* tokens may be as long as their table: what has no room is not looked at */
	for (size_t i = 0; i < tokens && len + 1 < LINUX_SYMBOL_NAME_MAX; i++) {
		const char *c = symbols->tokens + symbols->index[at[i]];

		for (; *c && len + 1 < LINUX_SYMBOL_NAME_MAX; c++) {
			char plain = *c > ' ' && *c <= '~' ? *c : '?';

			if (first)
				*ret_type = plain;
			else
				name[len++] = plain;
			first = false;
		}
	}
	name[len] = '\0';
}

/* ---- addresses ------------------------------------------------------------------------------------------ */

/* Before 7.0: relative to a base. */
static void add_base(struct linux_symbols *symbols, const int32_t *from, uint64_t base)
{
	bool percpu = false;

	for (uint32_t i = 0; i < symbols->nr; i++)
		percpu = percpu || from[i] < 0;
	for (uint32_t i = 0; i < symbols->nr; i++) {
		if (!percpu)
			symbols->addresses[i] = base + (uint32_t)from[i];
		else if (from[i] < 0)
			symbols->addresses[i] = base - 1 - (uint64_t)(int64_t)from[i];
		else /* of a per-CPU variable: left to the one before */
			symbols->addresses[i] = i ? symbols->addresses[i - 1] : 0;
	}
}

/* Since 7.0: each relative to its own place. */
static void add_places(struct linux_symbols *symbols, const int32_t *from, uint64_t offsets)
{
	for (uint32_t i = 0; i < symbols->nr; i++)
		symbols->addresses[i] = offsets + i * sizeof(*from) + (uint64_t)(int64_t)from[i];
}

/* @base: NULL if there is none. */
static bool load_addresses(
	struct linux_symbols *symbols, struct linux_kernel *kernel, uint64_t offsets, const uint64_t *base)
{
	autofree int32_t *from = malloc(symbols->nr * sizeof(*from));

	if (!from || linux_kernel_read(kernel, offsets, from, symbols->nr * sizeof(*from)))
		return false;
	if (base)
		add_base(symbols, from, *base);
	else
		add_places(symbols, from, offsets);
	/* a table that does not ascend would be searched for ever */
	for (uint32_t i = 1; i < symbols->nr; i++)
		symbols->addresses[i] = u64_max(symbols->addresses[i], symbols->addresses[i - 1]);
	return true;
}

static bool load_tokens(
	struct linux_symbols *symbols, struct linux_kernel *kernel, uint64_t table, uint64_t index)
{
	size_t len = TOKEN_TABLE_MAX;

	if (linux_kernel_read(kernel, index, symbols->index, sizeof(symbols->index)))
		return false;
	while (len && linux_kernel_read(kernel, table, symbols->tokens, len))
		len /= 2;
	symbols->tokens[len] = '\0';
	for (size_t i = 0; i < TOKENS; i++)
		if (symbols->index[i] > len)
			return false;
	return len;
}

/* Where the tables are. */
struct places {
	uint64_t names, nr, table, index, offsets, base;
	bool has_base; /* else 7.0 or later */
};

static const char *find_places(const struct linux_kernel *kernel, struct places *ret)
{
	const struct vmcoreinfo *info = &kernel->info;

	if (!vmcoreinfo_symbol(info, "kallsyms_names", &ret->names) ||
		!vmcoreinfo_symbol(info, "kallsyms_num_syms", &ret->nr) ||
		!vmcoreinfo_symbol(info, "kallsyms_token_table", &ret->table) ||
		!vmcoreinfo_symbol(info, "kallsyms_token_index", &ret->index) ||
		!vmcoreinfo_symbol(info, "kallsyms_offsets", &ret->offsets))
		return linux_kernel_version(kernel) < KERNEL_6_0
			       ? "VMCOREINFO does not name the kernel's symbols: kernels before 6.0 do not"
			       : "VMCOREINFO does not name the kernel's symbols: it may have been built "
				 "without them (CONFIG_KALLSYMS)";
	ret->has_base = vmcoreinfo_symbol(info, "kallsyms_relative_base", &ret->base);
	return NULL;
}

/* _stext, _etext */
static const char *find_text(struct linux_symbols *symbols, const struct linux_kernel *kernel)
{
	uint64_t told;

	if (!linux_symbols_address(symbols, "_stext", &symbols->text) ||
		!linux_symbols_address(symbols, "_etext", &symbols->text_end))
		return "the kernel's symbols do not tell where its text is";
	/* addresses that are made in a way that is not known yet would give wrong names to everything */
	if (vmcoreinfo_symbol(&kernel->info, "_stext", &told) && told != symbols->text)
		return "the kernel's symbols have other addresses than VMCOREINFO says";
	return NULL;
}

static const char *load(struct linux_symbols *symbols, struct linux_kernel *kernel)
{
	struct places at;
	const char *why = find_places(kernel, &at);

	if (why)
		return why;
	if (linux_kernel_read(kernel, at.nr, &symbols->nr, sizeof(symbols->nr)) ||
		(at.has_base && linux_kernel_read(kernel, at.base, &at.base, sizeof(at.base))))
		return "the kernel's symbols are not in the dump";
	if (!symbols->nr || symbols->nr > LINUX_SYMBOLS_MAX)
		return "the number of the kernel's symbols is impossible";
	symbols->addresses = malloc(symbols->nr * sizeof(*symbols->addresses));
	symbols->names = malloc(symbols->nr * sizeof(*symbols->names));
	if (!symbols->addresses || !symbols->names)
		return "no memory";
	if (!load_tokens(symbols, kernel, at.table, at.index) || !load_names(symbols, kernel, at.names) ||
		!load_addresses(symbols, kernel, at.offsets, at.has_base ? &at.base : NULL))
		return "the kernel's symbols cannot be read";
	return find_text(symbols, kernel);
}

const char *linux_symbols_load(struct linux_kernel *kernel, struct linux_symbols **ret)
{
	struct linux_symbols *symbols = calloc(1, sizeof(*symbols));
	const char *why = symbols ? load(symbols, kernel) : "no memory";

	if (why) {
		linux_symbols_free(symbols);
		return why;
	}
	*ret = symbols;
	return NULL;
}

/* How many addresses are below @address. */
static uint32_t count_below(const struct linux_symbols *symbols, uint64_t address)
{
	uint32_t low = 0,
		 high = symbols->nr; /* those before low are below @address, those from high on are not */

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (symbols->addresses[middle] < address)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

bool linux_symbols_find(const struct linux_symbols *symbols, uint64_t address, struct linux_symbol *ret)
{
	uint32_t next = address == UINT64_MAX ? symbols->nr : count_below(symbols, address + 1);
	uint32_t first;

	if (!next)
		return false;
	/* of several at one address the first, which is the best known */
	first = count_below(symbols, symbols->addresses[next - 1]);
	ret->address = symbols->addresses[first];
	ret->size = next < symbols->nr ? symbols->addresses[next] - ret->address : 0;
	expand(symbols, first, &ret->type, ret->name);
	return true;
}

bool linux_symbols_address(const struct linux_symbols *symbols, const char *name, uint64_t *ret)
{
	char found[LINUX_SYMBOL_NAME_MAX], type;

	for (uint32_t i = 0; i < symbols->nr; i++) {
		expand(symbols, i, &type, found);
		if (strcmp(found, name) != 0)
			continue;
		*ret = symbols->addresses[i];
		return true;
	}
	return false;
}

bool linux_symbols_is_text(const struct linux_symbols *symbols, uint64_t address)
{
	return address >= symbols->text && address < symbols->text_end;
}
