/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/test_cpuid.c - vmm/machine/cpuid.c: which bits a guest sees, and what it is told of its topology */
#include "tests/unit/suites.h"
#include "vmm/machine/cpuid.h"

#include <stdlib.h>
#include <string.h>

/* A host that announces everything (all ones) or nothing (all zeros) in the leaves that matter. */
static struct kvm *kvm;
static struct kvm_cpuid_table *table; /* what one vCPU gets */

static void add(uint32_t function, uint32_t index, uint32_t bits)
{
	kvm->cpuid.entries[kvm->cpuid.nent++] = (struct kvm_cpuid_entry2){
		.function = function, .index = index, .eax = bits, .ebx = bits, .ecx = bits, .edx = bits};
}

static void set_host(uint32_t bits)
{
	memset(&kvm->cpuid, 0, sizeof(kvm->cpuid));
	add(0, 0, bits);
	add(1, 0, bits);
	add(4, 0, bits);
	add(4, 1, bits);
	add(7, 0, bits);
	add(7, 1, bits);
	for (uint32_t i = 0; i < 3; i++)
		add(0xb, i, bits);
	for (uint32_t i = 0; i < 3; i++)
		add(0x1f, i, bits);
	add(0x40000001, 0, bits);
	add(0x80000001, 0, bits);
	add(0x80000008, 0, bits);
	add(0x8000001d, 0, bits);
	add(0x8000001e, 0, bits);
}

static void setup(void)
{
	kvm = calloc(1, sizeof(*kvm));
	table = calloc(1, sizeof(*table));
	ck_assert(kvm && table);
	set_host(UINT32_MAX);
	kvm->software = true;
}

static void teardown(void)
{
	free(kvm);
	free(table);
}

static const struct kvm_cpuid_entry2 *leaf(uint32_t function, uint32_t index)
{
	for (uint32_t i = 0; i < table->nent; i++)
		if (table->entries[i].function == function && table->entries[i].index == index)
			return &table->entries[i];
	ck_abort_msg("no leaf 0x%x.%u", function, index);
	return NULL;
}

/* ---- the filter --------------------------------------------------------------------------------- */

START_TEST(what_cannot_be_run_or_dumped_is_hidden)
{
	cpuid_for_vcpu(kvm, 0, 1, table);
	ck_assert_uint_eq(
		leaf(1, 0)->ecx, ~(1u << 3 | 1u << 5 | 1u << 6 | 1u << 13));   /* MWAIT VMX SMX CX16 */
	ck_assert_uint_eq(leaf(0x80000001, 0)->ecx, ~(1u << 2));               /* SVM */
	ck_assert_uint_eq(leaf(7, 0)->ebx, ~(1u << 2));                        /* SGX */
	ck_assert_uint_eq(leaf(7, 0)->edx, ~(1u << 22 | 1u << 24 | 1u << 25)); /* AMX */
}
END_TEST

START_TEST(kvm_features_that_hypercall_or_fault_asynchronously_are_hidden)
{
	static const unsigned hidden[] = {4, 7, 9, 10, 11, 13, 14, 16, 17}; /* Linux, kvm_para.h */
	uint32_t expected = UINT32_MAX;

	for (size_t i = 0; i < ARRAY_LEN(hidden); i++)
		expected &= ~(1u << hidden[i]);
	cpuid_for_vcpu(kvm, 0, 1, table);
	ck_assert_uint_eq(leaf(0x40000001, 0)->eax, expected);
	ck_assert_uint_ne(expected & (1u << 3), 0); /* kvmclock stays */
}
END_TEST

START_TEST(a_kvm_that_runs_guests_on_the_cpu_hides_less)
{
	kvm->software = false;
	cpuid_for_vcpu(kvm, 0, 1, table);
	ck_assert_uint_eq(leaf(1, 0)->ecx, ~(1u << 3 | 1u << 5 | 1u << 6)); /* CMPXCHG16B is there */
	ck_assert_uint_eq(
		leaf(0x40000001, 0)->eax, ~(1u << 4 | 1u << 10 | 1u << 14 | 1u << 16 |
						  1u << 17)); /* PV unhalt, TLB flush, IPI, yield are */
	ck_assert_uint_eq(leaf(0x80000001, 0)->ecx, ~(1u << 2));
}
END_TEST

START_TEST(the_tsc_deadline_timer_is_announced_where_kvm_has_it)
{
	set_host(0);
	kvm->tsc_deadline = true;
	cpuid_for_vcpu(kvm, 0, 1, table);
	ck_assert_uint_eq(leaf(1, 0)->ecx, 1u << 31 | 1u << 24);
}
END_TEST

START_TEST(the_guest_is_told_that_there_is_a_hypervisor_and_nothing_else_is_invented)
{
	set_host(0);
	cpuid_for_vcpu(kvm, 0, 1, table);
	ck_assert_uint_eq(leaf(1, 0)->ecx, 1u << 31);
	ck_assert_uint_eq(leaf(1, 0)->edx, 0);
	ck_assert_uint_eq(leaf(7, 0)->ebx | leaf(7, 0)->ecx | leaf(7, 0)->edx, 0);
	ck_assert_uint_eq(leaf(0x40000001, 0)->eax, 0);
	ck_assert_uint_eq(leaf(0x80000001, 0)->ecx, 0);
}
END_TEST

START_TEST(other_leaves_registers_and_indexes_pass_through)
{
	cpuid_for_vcpu(kvm, 3, 4, table);
	ck_assert_uint_eq(table->nent, kvm->cpuid.nent);
	ck_assert_mem_eq(leaf(0, 0), &kvm->cpuid.entries[0], sizeof(struct kvm_cpuid_entry2));
	ck_assert_uint_eq(leaf(1, 0)->eax, UINT32_MAX);
	ck_assert_uint_eq(leaf(7, 0)->ecx, UINT32_MAX);
	ck_assert_uint_eq(leaf(7, 1)->ebx, UINT32_MAX); /* the same bit, in the next index */
	ck_assert_uint_eq(leaf(7, 1)->edx, UINT32_MAX);
	ck_assert_uint_eq(leaf(0x80000001, 0)->edx, UINT32_MAX);
}
END_TEST

START_TEST(the_hosts_own_table_stays_as_it_was)
{
	const struct kvm_cpuid_table before = kvm->cpuid;

	cpuid_for_vcpu(kvm, 1, 2, table);
	ck_assert_mem_eq(&kvm->cpuid, &before, sizeof(before));
}
END_TEST

START_TEST(a_full_table_is_filtered_to_its_last_entry)
{
	memset(&kvm->cpuid, 0, sizeof(kvm->cpuid));
	while (kvm->cpuid.nent < KVM_CPUID_MAX)
		add(0x80000001, 0, UINT32_MAX);
	cpuid_for_vcpu(kvm, 0, 1, table);
	ck_assert_uint_eq(table->nent, KVM_CPUID_MAX);
	for (uint32_t i = 0; i < KVM_CPUID_MAX; i++)
		ck_assert_uint_eq(table->entries[i].ecx, ~(1u << 2));
}
END_TEST

/* ---- topology: one package, @nr cores of one thread --------------------------------------------- */

/* Bits that tell @nr vCPUs apart; not computed as in the code. */
static uint32_t id_bits(uint32_t nr)
{
	return nr == 1 ? 0 : nr == 2 ? 1 : nr <= 4 ? 2 : nr <= 8 ? 3 : nr <= 16 ? 4 : nr <= 32 ? 5 : 6;
}

static void check_topology(uint32_t id, uint32_t nr, uint32_t host)
{
	uint32_t bits = id_bits(nr);

	/* Intel SDM vol. 2A, CPUID: 01H */
	ck_assert_uint_eq(leaf(1, 0)->ebx, (host & 0xffff) | nr << 16 | id << 24);
	ck_assert_uint_eq(leaf(1, 0)->edx >> 28 & 1, nr > 1);
	/* 04H, each index; a host of all ones has caches of level 7 */
	for (uint32_t i = 0; i < 2; i++)
		ck_assert_uint_eq(leaf(4, i)->eax,
			(host & 0x3fff) | ((1u << bits) - 1) << 26 | (host ? ((1u << bits) - 1) << 14 : 0));
	/* 0BH and 1FH: threads, cores, no more */
	for (uint32_t f = 0xb; f <= 0x1f; f += 0x1f - 0xb) {
		for (uint32_t i = 0; i < 3; i++)
			ck_assert_uint_eq(leaf(f, i)->edx, id);
		ck_assert_uint_eq(leaf(f, 0)->eax, 0);
		ck_assert_uint_eq(leaf(f, 0)->ebx, 1);
		ck_assert_uint_eq(leaf(f, 0)->ecx, 0x100);
		ck_assert_uint_eq(leaf(f, 1)->eax, bits);
		ck_assert_uint_eq(leaf(f, 1)->ebx, nr);
		ck_assert_uint_eq(leaf(f, 1)->ecx, 0x201);
		ck_assert_uint_eq(leaf(f, 2)->eax | leaf(f, 2)->ebx, 0);
		ck_assert_uint_eq(leaf(f, 2)->ecx, 2);
	}
	/* AMD APM vol. 3, CPUID Fn8000_0008 */
	ck_assert_uint_eq(leaf(0x80000008, 0)->ecx, (host & ~0xf0ffu) | (nr - 1) | bits << 12);
	ck_assert_uint_eq(leaf(0x80000008, 0)->eax, host); /* address widths */
	/* Fn8000_001D, Fn8000_001E */
	ck_assert_uint_eq(
		leaf(0x8000001d, 0)->eax, (host & 0xfc003fff) | (host ? ((1u << bits) - 1) << 14 : 0));
	ck_assert_uint_eq(leaf(0x8000001e, 0)->eax, id);
	ck_assert_uint_eq(leaf(0x8000001e, 0)->ebx, id);
	ck_assert_uint_eq(leaf(0x8000001e, 0)->ecx, 0);
}

START_TEST(a_cache_of_level_1_or_2_belongs_to_one_vcpu)
{
	static const uint32_t functions[] = {4, 0x8000001d};

	for (size_t f = 0; f < ARRAY_LEN(functions); f++) {
		memset(&kvm->cpuid, 0, sizeof(kvm->cpuid));
		for (uint32_t level = 1; level <= 3; level++) /* unified, 16 threads share it on the host */
			add(functions[f], level, 3 | level << 5 | 15u << 14);
		cpuid_for_vcpu(kvm, 1, 3, table);
		for (uint32_t level = 1; level <= 3; level++)
			ck_assert_uint_eq(leaf(functions[f], level)->eax & 0x3ffffff,
				3 | level << 5 | (level < 3 ? 0 : 3u << 14));
	}
}
END_TEST

START_TEST(each_vcpu_of_1_to_64_is_told_its_own_id_and_the_same_topology)
{
	static const uint32_t hosts[] = {0, UINT32_MAX};

	for (size_t h = 0; h < ARRAY_LEN(hosts); h++) {
		set_host(hosts[h]);
		for (uint32_t nr = 1; nr <= 64; nr++) {
			for (uint32_t id = 0; id < nr; id++) {
				cpuid_for_vcpu(kvm, id, nr, table);
				check_topology(id, nr, hosts[h]);
			}
		}
	}
}
END_TEST

Suite *suite_cpuid(void)
{
	Suite *suite = suite_create("cpuid");
	TCase *tc = tcase_create("cpuid");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_add_test(tc, what_cannot_be_run_or_dumped_is_hidden);
	tcase_add_test(tc, kvm_features_that_hypercall_or_fault_asynchronously_are_hidden);
	tcase_add_test(tc, a_kvm_that_runs_guests_on_the_cpu_hides_less);
	tcase_add_test(tc, the_tsc_deadline_timer_is_announced_where_kvm_has_it);
	tcase_add_test(tc, the_guest_is_told_that_there_is_a_hypervisor_and_nothing_else_is_invented);
	tcase_add_test(tc, other_leaves_registers_and_indexes_pass_through);
	tcase_add_test(tc, the_hosts_own_table_stays_as_it_was);
	tcase_add_test(tc, a_full_table_is_filtered_to_its_last_entry);
	tcase_add_test(tc, a_cache_of_level_1_or_2_belongs_to_one_vcpu);
	tcase_add_test(tc, each_vcpu_of_1_to_64_is_told_its_own_id_and_the_same_topology);
	suite_add_tcase(suite, tc);
	return suite;
}
