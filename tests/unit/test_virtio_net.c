/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/test_virtio_net.c - vmm/devices/virtio_net.c and virtio_rng.c: packets both ways, buffers of every size; entropy.
 *
 * A pair of sockets that keep message boundaries stands for the tap interface.
 */
#include "dump/base/io.h"
#include "tests/unit/suites.h"
#include "tests/unit/virtio_driver.h"
#include "vmm/devices/virtio_net.h"
#include "vmm/devices/virtio_rng.h"

#include <errno.h>
#include <linux/virtio_mmio.h>
#include <linux/virtio_net.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define NEXT VRING_DESC_F_NEXT
#define WRITE VRING_DESC_F_WRITE
#define RX 0
#define TX 1
#define HEADER 12u
#define MRG (1ull << VIRTIO_NET_F_MRG_RXBUF)

static struct driver driver;
static struct virtio_net net;
static struct virtio_rng rng;
static struct tap tap;
static int wire; /* the other end */

static void setup(void)
{
	int ends[2];

	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
	wire = ends[1];
	tap = (struct tap){.name = "lan", .fd = ends[0], .mac = {2, 3, 4, 5, 6, 7}};
	memset(&net, 0, sizeof(net));
	memset(&rng, 0, sizeof(rng));
	driver_init(&driver);
	ck_assert_int_eq(virtio_net_init(&net, &tap, &driver.region), 0);
	driver_plug(&driver, &net.dev);
}

static void teardown(void)
{
	driver_fini(&driver);
	tap_close(&tap);
	close(wire);
}

/* A packet of @len bytes after the header, all of them @fill. */
static void arrive(size_t len, char fill)
{
	static char packet[70000];

	memset(packet, 0, HEADER);
	memset(packet + HEADER, fill, len);
	ck_assert_int_eq(send(wire, packet, HEADER + len, 0), (ssize_t)(HEADER + len));
}

/* Buffers of @len bytes for receiving: descriptors and chains @first to @first + @nr - 1. */
static void offer_room(uint16_t first, uint16_t nr, uint32_t len)
{
	for (uint16_t i = first; i < first + nr; i++) {
		driver_desc(&driver, RX, i, DRIVER_DATA + i * 0x1000u, len, WRITE, 0);
		driver_offer(&driver, RX, i);
	}
}

START_TEST(the_guest_learns_its_address)
{
	uint8_t mac[8];

	for (uint32_t i = 0; i < 8; i++)
		bus_read(&driver.bus, 0, DRIVER_MMIO + VIRTIO_MMIO_CONFIG + i, &mac[i], 1);
	ck_assert_mem_eq(mac, "\2\3\4\5\6\7\0\0", 8);
	ck_assert_uint_eq(driver_read(&driver, VIRTIO_MMIO_DEVICE_ID), 1);
}
END_TEST

START_TEST(a_packet_is_transmitted_whole_whatever_its_buffers)
{
	char got[256];

	driver_start(&driver, 0);
	memcpy(driver_at(&driver, DRIVER_DATA), "............one two three", 25);
	driver_desc(&driver, TX, 0, DRIVER_DATA, 7, NEXT, 1);
	driver_desc(&driver, TX, 1, DRIVER_DATA + 7, 10, NEXT, 2);
	driver_desc(&driver, TX, 2, DRIVER_DATA + 17, 8, 0, 0);
	driver_offer(&driver, TX, 0);
	ck_assert_uint_eq(driver_await(&driver, TX, NULL), 0);
	ck_assert_int_eq(recv(wire, got, sizeof(got), 0), 25);
	ck_assert_mem_eq(got, "............one two three", 25);
}
END_TEST

START_TEST(packets_that_the_interface_refuses_are_dropped_and_their_buffers_come_back)
{
	driver_start(&driver, 0);
	driver_desc(&driver, TX, 0, DRIVER_DATA, MIB(64), 0, 0); /* no interface takes that */
	driver_offer(&driver, TX, 0);
	driver_await(&driver, TX, NULL);
	driver_desc(&driver, TX, 1, DRIVER_DATA, 64, WRITE, 0); /* nothing to transmit */
	driver_offer(&driver, TX, 1);
	driver_await(&driver, TX, NULL);
	ck_assert_uint_eq(net.dev.refused, 2);
	ck_assert_uint_eq(net.tx, 0);
}
END_TEST

START_TEST(a_full_interface_holds_packets_up_and_loses_none_and_a_reset_gets_through)
{
	char got[2000];
	unsigned sent = 0, received = 0;

	driver_start(&driver, 0);
	for (uint16_t i = 0; i < 250; i++) {
		driver_desc(&driver, TX, i, DRIVER_DATA, 1500, 0, 0);
		driver_offer(&driver, TX, i);
	}
	while (driver_sees_used(&driver, TX, 100)) {
		driver_await(&driver, TX, NULL);
		sent++;
	}
	ck_assert_uint_lt(sent, 250); /* the socket's buffer is full */
	while (received < 250)
		received += recv(wire, got, sizeof(got), 0) == 1500;
	while (sent < 250) {
		driver_await(&driver, TX, NULL);
		sent++;
	}
	for (uint16_t i = 0; i < 250; i++)
		driver_offer(&driver, TX, i);
	usleep(20000);
	driver_write(&driver, VIRTIO_MMIO_STATUS, 0);
	ck_assert_uint_eq(net.dev.in_flight, 0);
}
END_TEST

START_TEST(a_packet_is_received_into_one_buffer_with_the_number_of_buffers_in_its_header)
{
	const struct virtio_net_hdr_v1 *header = driver_at(&driver, DRIVER_DATA + 0x5000);

	driver_start(&driver, 0);
	arrive(100, 'a');
	offer_room(5, 1, 1526);
	ck_assert_uint_eq(driver_await(&driver, RX, NULL), HEADER + 100);
	ck_assert_uint_eq(header->num_buffers, 1);
	ck_assert_mem_eq((const char *)(header + 1), "aaaa", 4);
	arrive(1514, 'b'); /* no buffer: it waits */
	ck_assert(!driver_sees_used(&driver, RX, 30));
	offer_room(6, 1, 1526);
	ck_assert_uint_eq(driver_await(&driver, RX, NULL), HEADER + 1514);
	ck_assert_uint_eq(net.rx, 2);
}
END_TEST

START_TEST(with_merged_buffers_a_packet_takes_as_many_as_it_needs_and_the_rest_stay)
{
	const struct virtio_net_hdr_v1 *header = driver_at(&driver, DRIVER_DATA);
	uint16_t head;

	tap.offloads = false;
	driver_start(&driver, MRG);
	offer_room(0, 16, 512);
	arrive(1000, 'c'); /* 1012 bytes: two buffers */
	ck_assert_uint_eq(driver_await(&driver, RX, &head), 512);
	ck_assert_uint_eq(head, 0);
	ck_assert_uint_eq(driver_await(&driver, RX, &head), 500);
	ck_assert_uint_eq(head, 1);
	ck_assert_uint_eq(header->num_buffers, 2);
	arrive(10, 'd');
	ck_assert_uint_eq(driver_await(&driver, RX, &head), 22);
	ck_assert_uint_eq(head, 2);
	ck_assert(!driver_sees_used(&driver, RX, 20));
	ck_assert_mem_eq((char *)driver_at(&driver, DRIVER_DATA + 0x2000) + HEADER, "dddd", 4);
}
END_TEST

START_TEST(packets_keep_their_order_through_a_ring_that_wraps)
{
	driver_start(&driver, MRG | 1ull << VIRTIO_RING_F_EVENT_IDX);
	offer_room(0, 64, 1536);
	for (uint32_t i = 0; i < 3000; i++) {
		uint16_t head;

		arrive(64, (char)i);
		ck_assert_uint_eq(driver_await(&driver, RX, &head), HEADER + 64);
		ck_assert_int_eq(
			((char *)driver_at(&driver, DRIVER_DATA + head * 0x1000u))[HEADER], (char)i);
		driver_offer(&driver, RX, head);
	}
}
END_TEST

START_TEST(buffers_too_small_for_a_header_come_back_empty)
{
	driver_start(&driver, 0);
	offer_room(0, 1, HEADER - 1);
	ck_assert_uint_eq(driver_await(&driver, RX, NULL), 0);
	arrive(50, 'e');
	offer_room(1, 1, 2000);
	ck_assert_uint_eq(driver_await(&driver, RX, NULL), HEADER + 50);
}
END_TEST

START_TEST(a_lie_in_the_receiving_queue_is_answered_and_a_reset_cures_it)
{
	driver_start(&driver, MRG);
	offer_room(0, 1, 512);
	driver_desc(&driver, RX, 1, HOLE_BASE, 512, WRITE, 0);
	driver_offer(&driver, RX, 1);
	driver_await_needs_reset(&driver);
	driver_start(&driver, 0);
	arrive(50, 'f');
	offer_room(0, 1, 2000);
	ck_assert_uint_eq(driver_await(&driver, RX, NULL), HEADER + 50);
}
END_TEST

START_TEST(a_dead_device_leaves_packets_to_the_next_one)
{
	static struct driver next;
	static struct virtio_net next_net;

	driver_start(&driver, 0);
	offer_room(0, 4, 2000);
	virtio_dev_kill(&net.dev);
	ck_assert_int_eq(virtio_dev_wait_quiet(&net.dev, clock_mono_ns() + NSEC_PER_SEC), 0);
	arrive(77, 'g');
	ck_assert(!driver_sees_used(&driver, RX, 30));
	driver_init(&next);
	ck_assert_int_eq(virtio_net_init(&next_net, &tap, &next.region), 0);
	driver_plug(&next, &next_net.dev);
	driver_start(&next, 0);
	driver_desc(&next, RX, 0, DRIVER_DATA, 2000, WRITE, 0);
	driver_offer(&next, RX, 0);
	ck_assert_uint_eq(driver_await(&next, RX, NULL), HEADER + 77);
	driver_fini(&next);
}
END_TEST

START_TEST(an_address_is_parsed_strictly)
{
	static const char *const bad[] = {"", "02:00:00:00:00", "02:00:00:00:00:0", "02:00:00:00:00:000",
		"02-00-00-00-00-00", "03:00:00:00:00:00", "02:00:00:00:00:gg", " 2:00:00:00:00:00",
		"02:00:00:00:00:-1"};
	uint8_t mac[TAP_MAC_LEN];

	ck_assert_int_eq(tap_parse_mac("02:aB:00:ff:10:09", mac), 0);
	ck_assert_mem_eq(mac, "\x02\xab\x00\xff\x10\x09", 6);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		ck_assert_msg(tap_parse_mac(bad[i], mac) == -EINVAL, "%s", bad[i]);
}
END_TEST

/* ---- entropy -------------------------------------------------------------------------------------- */

static void plug_rng(void)
{
	driver_fini(&driver);
	driver_init(&driver);
	ck_assert_int_eq(virtio_rng_init(&rng, &driver.region), 0);
	driver_plug(&driver, &rng.dev);
	driver_start(&driver, 0);
}

START_TEST(buffers_are_filled_with_random_bytes_and_no_byte_more)
{
	static const char zeros[64];
	char *at;

	plug_rng();
	at = driver_at(&driver, DRIVER_DATA);
	driver_desc(&driver, 0, 0, DRIVER_DATA, 32, NEXT | WRITE, 1);
	driver_desc(&driver, 0, 1, DRIVER_DATA + 64, 32, WRITE, 0);
	driver_offer(&driver, 0, 0);
	ck_assert_uint_eq(driver_await(&driver, 0, NULL), 64);
	ck_assert_mem_ne(at, zeros, 32);
	ck_assert_mem_eq(at + 32, zeros, 32);
	ck_assert_mem_ne(at + 64, zeros, 32);
	driver_desc(&driver, 0, 0, DRIVER_DATA, 32, 0, 0); /* nothing to write to */
	driver_offer(&driver, 0, 0);
	ck_assert_uint_eq(driver_await(&driver, 0, NULL), 0);
}
END_TEST

START_TEST(a_greedy_driver_gets_no_more_than_the_rate_and_can_be_reset_meanwhile)
{
	uint64_t start = clock_mono_ns(), bytes = 0, ns;

	plug_rng();
	driver_desc(&driver, 0, 0, DRIVER_DATA, MIB(1), WRITE, 0);
	while (clock_mono_ns() - start < 600 * NSEC_PER_MSEC) {
		driver_offer(&driver, 0, 0);
		bytes += driver_await(&driver, 0, NULL);
	}
	ns = clock_mono_ns() - start;
	ck_assert_uint_le(bytes, RNG_BYTES_PER_SEC * (ns + NSEC_PER_SEC / 4) / NSEC_PER_SEC + RNG_CHUNK);
	ck_assert_uint_ge(bytes, RNG_CHUNK);
	driver_offer(&driver, 0, 0);
	start = clock_mono_ns();
	driver_write(&driver, VIRTIO_MMIO_STATUS, 0);
	ck_assert_uint_lt(clock_mono_ns() - start, NSEC_PER_SEC);
}
END_TEST

Suite *suite_virtio_net(void)
{
	Suite *suite = suite_create("virtio net");
	TCase *tc = tcase_create("virtio net");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 20);
	tcase_add_test(tc, the_guest_learns_its_address);
	tcase_add_test(tc, a_packet_is_transmitted_whole_whatever_its_buffers);
	tcase_add_test(tc, packets_that_the_interface_refuses_are_dropped_and_their_buffers_come_back);
	tcase_add_test(tc, a_full_interface_holds_packets_up_and_loses_none_and_a_reset_gets_through);
	tcase_add_test(tc, a_packet_is_received_into_one_buffer_with_the_number_of_buffers_in_its_header);
	tcase_add_test(tc, with_merged_buffers_a_packet_takes_as_many_as_it_needs_and_the_rest_stay);
	tcase_add_test(tc, packets_keep_their_order_through_a_ring_that_wraps);
	tcase_add_test(tc, buffers_too_small_for_a_header_come_back_empty);
	tcase_add_test(tc, a_lie_in_the_receiving_queue_is_answered_and_a_reset_cures_it);
	tcase_add_test(tc, a_dead_device_leaves_packets_to_the_next_one);
	tcase_add_test(tc, an_address_is_parsed_strictly);
	tcase_add_test(tc, buffers_are_filled_with_random_bytes_and_no_byte_more);
	tcase_add_test(tc, a_greedy_driver_gets_no_more_than_the_rate_and_can_be_reset_meanwhile);
	suite_add_tcase(suite, tc);
	return suite;
}
