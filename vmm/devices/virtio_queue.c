/* SPDX-License-Identifier: Apache-2.0 */
/* vmm/devices/virtio_queue.c - see virtio_queue.h.  Section numbers are those of the VIRTIO 1.2 specification. */
#include "vmm/devices/virtio_queue.h"

#include <errno.h>
#include <linux/virtio_ring.h>
#include <stdatomic.h>
#include <string.h>

/* 2.7.6, 2.7.8: both rings begin with flags and index of 16 bits each */
#define RING_FLAGS 0
#define RING_IDX 2
#define RING_ENTRIES 4
#define AVAIL_ENTRY sizeof(uint16_t)
#define USED_ENTRY sizeof(struct vring_used_elem)

/* The layout is little-endian, and so is every machine that this program runs on. */
static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "x86");
static_assert(sizeof(struct vring_desc) == 16, "2.7.5");

static uint16_t load16(const char *at)
{
	return __atomic_load_n((const uint16_t *)(const void *)at, __ATOMIC_RELAXED);
}

static void store16(char *at, uint16_t value)
{
	__atomic_store_n((uint16_t *)(void *)at, value, __ATOMIC_RELAXED);
}

static char *used_event(const struct virtq *vq)
{
	return vq->avail + RING_ENTRIES + AVAIL_ENTRY * vq->size;
}

static char *avail_event(const struct virtq *vq)
{
	return vq->used + RING_ENTRIES + USED_ENTRY * vq->size;
}

/* ---- opening ------------------------------------------------------------------------------------ */

static int pin_rings(struct virtq *vq, const struct virtq_place *place)
{
	struct {
		gpa_t gpa;
		size_t len;
		char **ret;
	} parts[] = {
		{place->desc, sizeof(struct vring_desc) * place->size, &vq->desc},
		{place->avail, RING_ENTRIES + AVAIL_ENTRY * place->size + sizeof(uint16_t), &vq->avail},
		{place->used, RING_ENTRIES + USED_ENTRY * place->size + sizeof(uint16_t), &vq->used},
	};

	for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
		void *at;
		int err = gmem_pin(vq->region, parts[i].gpa, parts[i].len, &at);

		if (err)
			return err;
		*parts[i].ret = at;
	}
	return 0;
}

int virtq_open(
	struct virtq *vq, const struct region *region, const struct virtq_place *place, uint64_t features)
{
	int err;

	*vq = (struct virtq){.region = region,
		.indirect = features & 1ull << VIRTIO_RING_F_INDIRECT_DESC,
		.event_idx = features & 1ull << VIRTIO_RING_F_EVENT_IDX};
	if (!u64_is_pow2(place->size) || place->size > VIRTQ_SIZE_MAX ||
		place->desc % VRING_DESC_ALIGN_SIZE || place->avail % VRING_AVAIL_ALIGN_SIZE ||
		place->used % VRING_USED_ALIGN_SIZE)
		return -EINVAL;
	err = pin_rings(vq, place);
	if (!err)
		vq->size = place->size;
	return err;
}

void virtq_close(struct virtq *vq)
{
	*vq = (struct virtq){0};
}

/* ---- taking ------------------------------------------------------------------------------------- */

static int break_queue(struct virtq *vq, const char *why)
{
	vq->broken = why;
	return -EPROTO;
}

/* Chains that are available; more than there are entries is the driver's lie. */
static uint32_t available(const struct virtq *vq)
{
	uint16_t idx = load16(vq->avail + RING_IDX);

	/* pairs with the driver's barrier between filling an entry and raising the index */
	atomic_thread_fence(memory_order_acquire);
	return (uint16_t)(idx - vq->next_avail);
}

/* Adds one descriptor's buffer. */
static int add_buf(struct virtq *vq, struct virtq_chain *chain, const struct vring_desc *desc)
{
	uint32_t nr = (uint32_t)chain->nr_readable + chain->nr_writable;
	struct iovec inside_ram;

	if (!desc->len)
		return 0; /* allowed, and of no use to anyone */
	if (nr == VIRTQ_SIZE_MAX)
		return break_queue(vq, "a chain of too many buffers");
	if (gmem_iov(vq->region, desc->addr, desc->len, &inside_ram))
		return break_queue(vq, "a buffer outside of RAM");
	chain->bufs[nr] = (struct virtq_buf){.gpa = desc->addr, .len = desc->len};
	if (desc->flags & VRING_DESC_F_WRITE) {
		chain->nr_writable++;
		chain->writable_bytes += desc->len;
		return 0;
	}
	if (chain->nr_writable)
		return break_queue(vq, "a readable buffer after a writable one"); /* 2.7.4.2 */
	chain->nr_readable++;
	chain->readable_bytes += desc->len;
	return 0;
}

/* Walks a table that the driver can no longer change: a copy. */
static int walk_indirect(struct virtq *vq, struct virtq_chain *chain, const struct vring_desc *from)
{
	struct vring_desc table[VIRTQ_SIZE_MAX];
	uint32_t nr = from->len / sizeof(table[0]), at = 0;

	/* 2.7.5.3.1 */
	if (!vq->indirect)
		return break_queue(vq, "an indirect descriptor, which was not negotiated");
	if (from->flags & VRING_DESC_F_NEXT)
		return break_queue(vq, "an indirect descriptor with a next one");
	if (!nr || nr > VIRTQ_SIZE_MAX || from->len % sizeof(table[0]))
		return break_queue(vq, "an indirect table of a length that is not allowed");
	if (gmem_copy_in(vq->region, from->addr, table, from->len))
		return break_queue(vq, "an indirect table outside of RAM");
	for (uint32_t steps = 0; steps < nr; steps++) {
		int err;

		if (table[at].flags & VRING_DESC_F_INDIRECT)
			return break_queue(vq, "an indirect descriptor in an indirect table");
		err = add_buf(vq, chain, &table[at]);
		if (err || !(table[at].flags & VRING_DESC_F_NEXT))
			return err;
		at = table[at].next;
		if (at >= nr)
			return break_queue(vq, "a next descriptor that is not in its table");
	}
	return break_queue(vq, "a chain that bites its tail");
}

/* Each descriptor is 16 bytes, loaded by two loads; nothing is loaded again. */
static struct vring_desc load_desc(const struct virtq *vq, uint32_t index)
{
	const uint64_t *at = (const uint64_t *)(const void *)(vq->desc + sizeof(struct vring_desc) * index);
	uint64_t words[2] = {
		__atomic_load_n(&at[0], __ATOMIC_RELAXED), __atomic_load_n(&at[1], __ATOMIC_RELAXED)};
	struct vring_desc desc;

	memcpy(&desc, words, sizeof(desc));
	return desc;
}

static int walk(struct virtq *vq, struct virtq_chain *chain)
{
	uint32_t at = chain->head;

	for (uint32_t steps = 0; steps < vq->size; steps++) {
		struct vring_desc desc;
		int err;

		if (at >= vq->size)
			return break_queue(vq, "a descriptor that does not exist");
		desc = load_desc(vq, at);
		if (desc.flags & VRING_DESC_F_INDIRECT)
			return walk_indirect(vq, chain, &desc);
		err = add_buf(vq, chain, &desc);
		if (err || !(desc.flags & VRING_DESC_F_NEXT))
			return err;
		at = desc.next;
	}
	return break_queue(vq, "a chain that bites its tail");
}

int virtq_take(struct virtq *vq, struct virtq_chain *ret)
{
	uint32_t nr, entry = vq->next_avail & (vq->size - 1);
	int err;

	if (vq->broken)
		return -EPROTO;
	nr = available(vq);
	if (!nr)
		return 0;
	if (nr > vq->size)
		return break_queue(vq, "more available chains than the queue has entries");
	ret->head = load16(vq->avail + RING_ENTRIES + AVAIL_ENTRY * entry);
	ret->nr_readable = ret->nr_writable = 0;
	ret->readable_bytes = ret->writable_bytes = 0;
	err = walk(vq, ret);
	if (err)
		return err;
	vq->next_avail++;
	return 1;
}

void virtq_untake(struct virtq *vq, uint16_t nr)
{
	vq->next_avail = (uint16_t)(vq->next_avail - nr);
}

bool virtq_want_notify(struct virtq *vq)
{
	if (vq->broken)
		return false;
	if (vq->event_idx)
		store16(avail_event(vq), vq->next_avail);
	/* 2.7.10.1: the driver sees the event index, or we see its chain; full barrier on both sides */
	atomic_thread_fence(memory_order_seq_cst);
	return !available(vq);
}

/* ---- giving back -------------------------------------------------------------------------------- */

void virtq_fill(struct virtq *vq, uint16_t ahead, uint16_t head, uint32_t written)
{
	uint32_t entry = (uint16_t)(vq->next_used + ahead) & (vq->size - 1);
	uint32_t *elem = (uint32_t *)(void *)(vq->used + RING_ENTRIES + USED_ENTRY * entry);

	__atomic_store_n(&elem[0], head, __ATOMIC_RELAXED);
	__atomic_store_n(&elem[1], written, __ATOMIC_RELAXED);
}

void virtq_publish(struct virtq *vq, uint16_t nr)
{
	vq->next_used = (uint16_t)(vq->next_used + nr);
	/* 2.7.8.2: entries before index */
	__atomic_store_n((uint16_t *)(void *)(vq->used + RING_IDX), vq->next_used, __ATOMIC_RELEASE);
}

void virtq_give(struct virtq *vq, uint16_t head, uint32_t written)
{
	virtq_fill(vq, 0, head, written);
	virtq_publish(vq, 1);
}

bool virtq_wants_interrupt(struct virtq *vq)
{
	uint16_t before = vq->signalled, now = vq->next_used;
	bool valid = vq->signalled_valid;

	/* 2.7.7.2: the index is visible before the driver's wish is read */
	atomic_thread_fence(memory_order_seq_cst);
	if (!vq->event_idx)
		return !(load16(vq->avail + RING_FLAGS) & VRING_AVAIL_F_NO_INTERRUPT);
	vq->signalled = now;
	vq->signalled_valid = true;
	return !valid || vring_need_event(load16(used_event(vq)), now, before);
}

/* ---- contents of chains -------------------------------------------------------------------------- */

/* Calls @each for the pieces of [@off, @off + @len) of one side, until it fails. */
struct piece_visitor {
	int (*visit)(struct piece_visitor *visitor, gpa_t gpa, size_t len);
	const struct region *region;
	struct iovec *iov; /* next to fill */
	char *dst;
	const char *src;
};

static int visit_pieces(const struct virtq_chain *chain, enum virtq_side side, uint64_t off, uint64_t len,
	struct piece_visitor *visitor)
{
	const struct virtq_buf *buf = &chain->bufs[side == VIRTQ_WRITABLE ? chain->nr_readable : 0];
	uint64_t total = side == VIRTQ_WRITABLE ? chain->writable_bytes : chain->readable_bytes;

	if (off > total || len > total - off)
		return -EINVAL;
	for (; len; buf++) {
		uint64_t part;
		int err;

		if (off >= buf->len) {
			off -= buf->len;
			continue;
		}
		part = u64_min(buf->len - off, len);
		err = visitor->visit(visitor, buf->gpa + off, part);
		if (err)
			return err;
		off = 0;
		len -= part;
	}
	return 0;
}

static int visit_iov(struct piece_visitor *visitor, gpa_t gpa, size_t len)
{
	return gmem_iov(visitor->region, gpa, len, visitor->iov++);
}

static int visit_read(struct piece_visitor *visitor, gpa_t gpa, size_t len)
{
	int err = gmem_copy_in(visitor->region, gpa, visitor->dst, len);

	visitor->dst += len;
	return err;
}

static int visit_write(struct piece_visitor *visitor, gpa_t gpa, size_t len)
{
	int err = gmem_copy_out(visitor->region, gpa, visitor->src, len);

	visitor->src += len;
	return err;
}

int virtq_chain_iov(const struct region *region, const struct virtq_chain *chain, enum virtq_side side,
	uint64_t off, uint64_t len, struct iovec iov[VIRTQ_SIZE_MAX])
{
	struct piece_visitor visitor = {.visit = visit_iov, .region = region, .iov = iov};
	int err = visit_pieces(chain, side, off, len, &visitor);

	return err ? err : (int)(visitor.iov - iov);
}

int virtq_chain_read(
	const struct region *region, const struct virtq_chain *chain, uint64_t off, void *dst, size_t len)
{
	struct piece_visitor visitor = {.visit = visit_read, .region = region, .dst = dst};

	return visit_pieces(chain, VIRTQ_READABLE, off, len, &visitor);
}

int virtq_chain_write(const struct region *region, const struct virtq_chain *chain, uint64_t off,
	const void *src, size_t len)
{
	struct piece_visitor visitor = {.visit = visit_write, .region = region, .src = src};

	return visit_pieces(chain, VIRTQ_WRITABLE, off, len, &visitor);
}
