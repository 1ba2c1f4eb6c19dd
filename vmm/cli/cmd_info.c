/* SPDX-License-Identifier: Apache-2.0 */
/* vmm/cli/cmd_info.c - "minivmm info": what this host offers, and what to do about what is missing. */
#include "vmm/cli/commands.h"

#include "dump/base/cleanup.h"
#include "dump/base/log.h"
#include "dump/dumper/sandbox.h"
#include "vmm/host/dump_dir.h"
#include "vmm/base/exit_codes.h"
#include "vmm/base/places.h"
#include "vmm/memory/gate.h"
#include "vmm/base/text.h"
#include "vmm/host/kvm.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/utsname.h>

static int print_kvm(void)
{
	struct kvm kvm;
	char why[512];

	printf("KVM\n");
	if (kvm_open(&kvm, why, sizeof(why))) {
		printf("  unusable: %s\n", why);
		return EXIT_NO_KVM;
	}
	printf("  usable: API version %d, %u MSRs, %u CPUID leaves\n", KVM_API_VERSION, kvm.nr_msrs,
		kvm.cpuid.nent);
	for (size_t i = 0; i < kvm_nr_requirements; i++) {
		const struct kvm_requirement *need = &kvm_requirements[i];

		printf("  %-32s %-7s %s: %s\n", need->name,
			kvm_extension(&kvm, need->cap) ? "found" : "missing",
			need->required ? "needed" : "optional", need->why);
	}
	printf("  vCPUs: %d recommended, %d at most\n", kvm_extension(&kvm, KVM_CAP_NR_VCPUS),
		kvm_extension(&kvm, KVM_CAP_MAX_VCPUS));
	kvm_close(&kvm);
	return EXIT_OK;
}

static void print_word(const char *label, const char *path)
{
	autofclose FILE *file = fopen(path, "re");
	char text[256];

	if (file && fgets(text, sizeof(text), file)) {
		text[strcspn(text, "\n")] = '\0';
		printf("  %-32s %s\n", label, text);
	}
}

static int print_memory(const char *dir)
{
	struct dump_dir_facts facts;
	char why[512], size[24], available[24];
	autoclose int fd = -1;
	int err;

	printf("Shared memory in %s\n", dir);
	/* looking must not change the host: no mount here */
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0) {
		snprintf(why, sizeof(why), "%s", strerror(errno));
		printf("  cannot be opened: %s\n", why);
		return EXIT_HOST;
	}
	err = dump_dir_probe(fd, &facts);
	if (err) {
		printf("  cannot hold guest RAM: %s\n", strerror(-err));
		return EXIT_HOST;
	}
	report_bytes(facts.size, size, sizeof(size));
	report_bytes(facts.available, available, sizeof(available));
	printf("  %-32s %s free of %s\n", "space", available, size);
	printf("  %-32s %s\n", "huge pages (2 MiB)", facts.huge ? "obtained" : "not obtained");
	print_word("shmem_enabled", "/sys/kernel/mm/transparent_hugepage/shmem_enabled");
	if (!facts.huge)
		printf("  to get them, one of these, as root:\n"
		       "    run minivmm as root: it mounts a tmpfs with huge=always on %s\n"
		       "    mount -t tmpfs -o huge=always,mode=1777 minivmm %s\n"
		       "    echo advise > /sys/kernel/mm/transparent_hugepage/shmem_enabled   (for "
		       "/dev/shm)\n",
			PLACES_ROOT, PLACES_ROOT);
	return EXIT_OK;
}

static void print_gate(void)
{
	int err = gate_probe();

	printf("Handover\n");
	printf("  %-32s %s%s\n", "gate (userfaultfd)", err ? "not available: " : "available",
		err ? strerror(-err) : "");
	if (err == -EPERM)
		printf("  to get it, one of these, as root:\n"
		       "    run minivmm as root\n"
		       "    chmod or chown /dev/userfaultfd\n"
		       "    sysctl vm.unprivileged_userfaultfd=1\n");
}

static void print_limit(const char *label, int resource)
{
	struct rlimit limit;

	if (getrlimit(resource, &limit) < 0)
		return;
	if (limit.rlim_cur == RLIM_INFINITY)
		printf("  %-32s unlimited\n", label);
	else
		printf("  %-32s %llu\n", label, (unsigned long long)limit.rlim_cur);
}

static void print_sandbox(void)
{
	int abi = sandbox_paths_abi();

	printf("Dumper\n");
	if (abi)
		printf("  %-32s to its directories (Landlock, ABI %d)\n", "paths confined", abi);
	else
		printf("  %-32s no: this kernel has no Landlock, or it is off (CONFIG_SECURITY_LANDLOCK, "
		       "lsm=)\n",
			"paths confined");
}

int command_info(int argc, char **argv)
{
	struct utsname host;
	const char *dir;
	int code, memory;

	if (argc > 2) {
		log_error("info: expected at most one directory; see minivmm --help");
		return EXIT_USAGE;
	}
	dir = argc > 1 ? argv[1] : access(PLACES_ROOT, F_OK) ? PLACES_SHM : PLACES_ROOT;
	printf("minivmm %s\n", MINIVMM_VERSION);
	if (!uname(&host))
		printf("  host kernel %s, %ld CPUs\n", host.release, sysconf(_SC_NPROCESSORS_ONLN));
	code = print_kvm();
	memory = print_memory(dir);
	print_gate();
	print_sandbox();
	printf("Limits\n");
	print_limit("open files", RLIMIT_NOFILE);
	print_limit("locked memory, bytes", RLIMIT_MEMLOCK);
	print_limit("file size, bytes", RLIMIT_FSIZE);
	print_limit("threads and processes", RLIMIT_NPROC);
	return code ? code : memory;
}
