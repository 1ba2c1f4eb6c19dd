/* SPDX-License-Identifier: Apache-2.0 */
/* dump/linux/linux_page.c - see linux_page.h */
#include "dump/linux/linux_page.h"

#include <stdio.h>
#include <string.h>

/* include/linux/page-flags.h */
#define MAPPING_ANON 1u
#define COMPOUND_TAIL 1u
#define KERNEL_6_6 0x0606u

static const char *const reason_names[LINUX_REASONS] = {
	[LINUX_PAGE_FREE] = "free",
	[LINUX_PAGE_CACHE] = "cache",
	[LINUX_PAGE_CACHE_PRIVATE] = "private cache",
	[LINUX_PAGE_USER] = "user",
	[LINUX_PAGE_HWPOISON] = "hwpoison",
	[LINUX_PAGE_OFFLINE] = "offline",
};

const char *linux_reason_name(size_t reason)
{
	return reason < LINUX_REASONS ? reason_names[reason] : NULL;
}

/* ---- the format ----------------------------------------------------------------------------------------- */

/* Offset of a field of @bytes inside struct page; LINUX_NO_OFFSET, and false, if it is not told. */
static bool find_field(const struct linux_page_format *format, const struct vmcoreinfo *info,
	const char *name, uint32_t bytes, uint32_t *ret)
{
	uint64_t offset;

	*ret = LINUX_NO_OFFSET;
	if (!vmcoreinfo_measure(info, "OFFSET", name, format->size - bytes, &offset))
		return false;
	*ret = (uint32_t)offset;
	return true;
}

/* A flag's mask; 0 if its number is not told. */
static uint64_t flag_of(const struct vmcoreinfo *info, const char *name)
{
	uint64_t bit;

	return vmcoreinfo_measure(info, "NUMBER", name, 63, &bit) ? 1ull << bit : 0;
}

static struct linux_page_type type_of(const struct vmcoreinfo *info, const char *name)
{
	int64_t value;

	if (!vmcoreinfo_number(info, name, &value) || value >= 0 || value < INT32_MIN)
		return (struct linux_page_type){.known = false};
	return (struct linux_page_type){.known = true, .value = (uint32_t)value};
}

/* Where the order and the kind of a compound page are: four ways so far. */
static void find_compound(struct linux_page_format *format, const struct linux_kernel *kernel)
{
	const struct vmcoreinfo *info = &kernel->info;
	uint64_t mask, order, dtor;

	if (vmcoreinfo_measure(info, "NUMBER", "PG_head_mask", INT64_MAX, &mask) && u64_is_pow2(mask))
		format->head = mask;
	format->dtor_known = vmcoreinfo_measure(
		info, "NUMBER", "HUGETLB_PAGE_DTOR", 255, &format->hugetlb_dtor);
	format->dtor = LINUX_NO_OFFSET;
	if (find_field(format, info, "page.compound_order", 1, &format->order)) {
		(void)find_field(format, info, "page.compound_dtor", 1, &format->dtor);
		return;
	}
	/* 6.3: offsets in struct folio, whose second part overlays the first tail */
	if (vmcoreinfo_measure(info, "OFFSET", "folio._folio_order", 2 * format->size - 1, &order) &&
		order >= format->size) {
		format->order = (uint32_t)order - format->size;
		if (vmcoreinfo_measure(info, "OFFSET", "folio._folio_dtor", 2 * format->size - 1, &dtor) &&
			dtor >= format->size)
			format->dtor = (uint32_t)dtor - format->size;
		return;
	}
	/* 6.6 tells no offset any more; 6.9 makes hugetlb a type */
	format->order_in_flags = linux_kernel_version(kernel) >= KERNEL_6_6;
	format->hugetlb_1 = flag_of(info, "PG_hugetlb");
}

/* False if an offset is told that cannot be one. */
static bool find_fields(struct linux_page_format *format, const struct vmcoreinfo *info)
{
	uint32_t info_offset;
	const struct {
		const char *name;
		uint32_t bytes, *ret;
	} fields[] = {
		{"page.flags", 8, &format->flags},
		{"page.mapping", 8, &format->mapping},
		{"page._mapcount", 4, &format->mapcount},
		{"page.private", 8, &format->private_data},
		{"page.compound_head", 8, &format->compound},
		{"page.compound_info", 8, &info_offset},
	};

	for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
		char key[32], text[2];

		if (find_field(format, info, fields[i].name, fields[i].bytes, fields[i].ret))
			continue;
		snprintf(key, sizeof(key), "OFFSET(%s)", fields[i].name);
		vmcoreinfo_string(info, key, text, sizeof(text));
		if (text[0])
			return false;
	}
	format->has_masks = info_offset != LINUX_NO_OFFSET && u64_is_pow2(format->size);
	if (format->compound == LINUX_NO_OFFSET)
		format->compound = info_offset;
	return true;
}

static void find_flags_and_types(struct linux_page_format *format, const struct vmcoreinfo *info)
{
	uint64_t orders;

	format->lru = flag_of(info, "PG_lru");
	format->private_bit = flag_of(info, "PG_private");
	format->swapcache = flag_of(info, "PG_swapcache");
	format->swapbacked = flag_of(info, "PG_swapbacked");
	format->slab = flag_of(info, "PG_slab");
	format->hwpoison = flag_of(info, "PG_hwpoison");
	format->buddy = type_of(info, "PAGE_BUDDY_MAPCOUNT_VALUE");
	format->offline = type_of(info, "PAGE_OFFLINE_MAPCOUNT_VALUE");
	format->slab_type = type_of(info, "PAGE_SLAB_MAPCOUNT_VALUE");
	format->hugetlb_type = type_of(info, "PAGE_HUGETLB_MAPCOUNT_VALUE");
	if (vmcoreinfo_measure(info, "LENGTH", "zone.free_area", LINUX_ORDER_MAX + 1, &orders))
		format->free_orders = orders;
}

/*
 * A flag is worth nothing without the flags, a type without _mapcount.  Without the mapping an anonymous page
 * looks like one of the cache.
 */
static void forget_what_cannot_be_read(struct linux_page_format *format)
{
	static const struct linux_page_type unknown = {.known = false};

	if (format->flags == LINUX_NO_OFFSET) {
		format->private_bit = format->slab = format->hwpoison = format->head = format->hugetlb_1 =
			0;
		format->order_in_flags = false;
	}
	if (format->flags == LINUX_NO_OFFSET || format->mapping == LINUX_NO_OFFSET)
		format->lru = format->swapcache = format->swapbacked = 0;
	if (format->mapcount == LINUX_NO_OFFSET)
		format->buddy = format->offline = format->slab_type = format->hugetlb_type = unknown;
	if (format->private_data == LINUX_NO_OFFSET)
		format->free_orders = 0;
}

const char *linux_page_format_init(struct linux_page_format *format, const struct linux_kernel *kernel)
{
	const struct vmcoreinfo *info = &kernel->info;
	uint64_t size;

	memset(format, 0, sizeof(*format));
	if (!vmcoreinfo_measure(info, "SIZE", "page", LINUX_STRUCT_PAGE_MAX, &size) ||
		size < LINUX_STRUCT_PAGE_MIN || size % 8)
		return "VMCOREINFO does not tell the size of struct page";
	format->size = (uint32_t)size;
	if (!find_fields(format, info))
		return "VMCOREINFO contradicts itself about struct page";
	find_flags_and_types(format, info);
	find_compound(format, kernel);
	forget_what_cannot_be_read(format);
	if ((format->flags == LINUX_NO_OFFSET && !format->slab_type.known) ||
		(format->compound == LINUX_NO_OFFSET && (!format->buddy.known || !format->free_orders)))
		return "VMCOREINFO does not describe struct page";
	return NULL;
}

const char *linux_page_format_lack(const struct linux_page_format *format, uint32_t level)
{
	bool in_use = level & (LINUX_LEVEL_CACHE | LINUX_LEVEL_CACHE_PRIVATE | LINUX_LEVEL_USER);

	if (!format->slab && !format->slab_type.known)
		return "most pages are kept: VMCOREINFO does not tell slab pages from others";
	if (in_use && format->compound == LINUX_NO_OFFSET)
		return "pages in use are kept: VMCOREINFO has neither page.compound_head nor compound_info";
	if (level & LINUX_LEVEL_FREE && (!format->buddy.known || !format->free_orders))
		return "free pages are kept: VMCOREINFO does not tell what they look like";
	if (in_use && (format->flags == LINUX_NO_OFFSET || format->mapping == LINUX_NO_OFFSET))
		return "many pages in use are kept: VMCOREINFO lacks page.flags or page.mapping";
	if (in_use && (!format->head || (format->order == LINUX_NO_OFFSET && !format->order_in_flags)))
		return "large folios are kept: VMCOREINFO does not tell their order";
	return NULL;
}

/* ---- one page ------------------------------------------------------------------------------------------- */

struct fields {
	uint64_t flags, mapping, compound;
	uint32_t mapcount;
};

/* 0 of a field that is not told: nothing that would need it is looked for then. */
static uint64_t get64(const unsigned char *page, uint32_t offset)
{
	uint64_t value = 0;

	if (offset != LINUX_NO_OFFSET)
		memcpy(&value, page + offset, sizeof(value));
	return value;
}

/* Whole values: since 6.12 a type is a number in the top byte, before it was a bit that is 0. */
static bool is_type(const struct linux_page_type *type, uint32_t mapcount)
{
	return type->known && mapcount == type->value;
}

/*
 * Slab pages are the kernel's; the words that mean something else in them must not be believed.  The low
 * bytes may be in use where the type is the top byte.  A kernel that does not tell what slab pages look
 * like has any page for one.
 */
static bool may_be_slab(const struct linux_page_format *format, const struct fields *f)
{
	const struct linux_page_type *type = &format->slab_type;

	if (type->known)
		return type->value << 8 ? f->mapcount == type->value
					: f->mapcount >> 24 == type->value >> 24;
	return !format->slab || f->flags & format->slab;
}

static bool is_cache(const struct linux_page_format *format, const struct fields *f)
{
	if (f->flags & format->lru)
		return true;
	return f->flags & format->swapcache && f->flags & format->swapbacked;
}

static bool is_private(const struct linux_page_format *format, const struct fields *f)
{
	return !format->private_bit || f->flags & format->private_bit;
}

/* Does the first tail of a folio of @order, by its word @word, belong to the head at @gva? */
static bool is_tail_of(const struct linux_page_format *format, uint64_t word, uint64_t gva, uint64_t order)
{
	uint64_t bytes = (uint64_t)format->size << order;

	if (word == (gva | COMPOUND_TAIL))
		return true;
	/* no page descriptor is where its address could be such a mask: in the last GiB */
	return format->has_masks && word == (~(bytes - 1) | COMPOUND_TAIL) && !(gva & (bytes - 1));
}

/* Order of a compound page by its first tail; 0 for what is none, or contradicts itself: *ret_ok tells. */
static uint64_t compound_order(const struct linux_page_format *format, const struct fields *f, uint64_t pfn,
	uint64_t gva, const unsigned char *tail, bool *ret_ok)
{
	uint64_t order;

	*ret_ok = true;
	if (!(f->flags & format->head))
		return 0;
	*ret_ok = false;
	if (!tail)
		return 0;
	if (format->order != LINUX_NO_OFFSET)
		order = tail[format->order];
	else if (format->order_in_flags)
		order = get64(tail, format->flags) & 0xff;
	else
		return 0;
	*ret_ok = order && order <= LINUX_ORDER_MAX && !(pfn & ((1ull << order) - 1)) &&
		  is_tail_of(format, get64(tail, format->compound), gva, order);
	return *ret_ok ? order : 0;
}

static bool is_hugetlb(const struct linux_page_format *format, const struct fields *f, uint64_t order,
	const unsigned char *tail)
{
	if (is_type(&format->hugetlb_type, f->mapcount))
		return true;
	if (!order)
		return false;
	if (format->hugetlb_1 && get64(tail, format->flags) & format->hugetlb_1)
		return true;
	return format->dtor_known && format->dtor != LINUX_NO_OFFSET &&
	       tail[format->dtor] == format->hugetlb_dtor;
}

/* In makedumpfile's order.  @order, @tail: of a compound page. */
static enum linux_reason reason_in_use(const struct linux_page_format *format, uint32_t level,
	const struct fields *f, uint64_t order, const unsigned char *tail)
{
	bool slab = may_be_slab(format, f);
	bool anon = f->mapping & MAPPING_ANON && !slab;
	bool cache = is_cache(format, f) && !slab && !anon;
	bool private = is_private(format, f);

	if (cache && level & LINUX_LEVEL_CACHE && !private)
		return LINUX_PAGE_CACHE;
	if (cache && level & LINUX_LEVEL_CACHE_PRIVATE)
		return private ? LINUX_PAGE_CACHE_PRIVATE : LINUX_PAGE_CACHE;
	if (level & LINUX_LEVEL_USER && (anon || is_hugetlb(format, f, order, tail)))
		return LINUX_PAGE_USER;
	if (f->flags & format->hwpoison)
		return LINUX_PAGE_HWPOISON;
	if (!slab && is_type(&format->offline, f->mapcount))
		return LINUX_PAGE_OFFLINE;
	return LINUX_REASONS;
}

enum linux_reason linux_page_decide(const struct linux_page_format *format, uint32_t level, uint64_t pfn,
	uint64_t gva, const unsigned char *page, const unsigned char *tail, uint64_t *ret_nr)
{
	struct fields f = {
		.flags = get64(page, format->flags),
		.mapping = get64(page, format->mapping),
		.compound = get64(page, format->compound),
	};
	uint64_t order;
	bool ok;

	if (f.compound & COMPOUND_TAIL)
		return LINUX_REASONS; /* goes with its head */
	if (format->mapcount != LINUX_NO_OFFSET)
		memcpy(&f.mapcount, page + format->mapcount, sizeof(f.mapcount));
	if (is_type(&format->buddy, f.mapcount) && !may_be_slab(format, &f)) {
		order = get64(page, format->private_data);
		if (!(level & LINUX_LEVEL_FREE) || order >= format->free_orders ||
			pfn & ((1ull << order) - 1))
			return LINUX_REASONS;
		*ret_nr = 1ull << order;
		return LINUX_PAGE_FREE;
	}
	if (format->compound == LINUX_NO_OFFSET)
		return LINUX_REASONS; /* a tail's words mean other things */
	order = compound_order(format, &f, pfn, gva, tail, &ok);
	if (!ok)
		return LINUX_REASONS;
	*ret_nr = 1ull << order;
	return reason_in_use(format, level, &f, order, tail);
}
