/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/dump_fixture.c - see dump_fixture.h */
#include "tests/unit/dump_fixture.h"

#include <check.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

static void record_init(struct dump_fixture *f, uint32_t nr_cpus)
{
	struct dump_record *record;

	ck_assert_int_eq(dump_record_create(nr_cpus, &f->record_fd, &f->record), 0);
	f->nr_cpus = nr_cpus;
	record = f->record;
	record->generation = 0;
	record->reason = DUMP_REASON_PANIC;
	record->wall_ns = 1700000000000000000ull;
	record->options = (struct dump_options){.selectors = 1, .workers = 1, .chunk = PAGE_SIZE_2M};
	record->layout = f->layout;
	strcpy(record->guest, "guest");
	strcpy(record->name, "guest-test-g0");
	strcpy(record->vmm_version, "0.0-test");
	for (uint32_t i = 0; i < nr_cpus; i++)
		fixture_set_cpu(&record->cpus[i], i);
}

void fixture_init(struct dump_fixture *f, uint64_t ram, uint64_t hole, uint32_t nr_cpus)
{
	*f = (struct dump_fixture){0};
	ck_assert_int_eq(dump_layout_init(&f->layout, ram, hole, GIB(4)), 0);
	strcpy(f->dir, "/dev/shm/minivmm-test-XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(f->dir));
	f->dir_fd = open(f->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ck_assert_int_ge(f->dir_fd, 0);
	f->proc_fd = publish_proc_open();
	ck_assert_int_ge(f->proc_fd, 0);
	f->region_fd = open(f->dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	ck_assert_int_ge(f->region_fd, 0);
	ck_assert_int_eq(ftruncate(f->region_fd, (off_t)dump_layout_file_size(&f->layout)), 0);
	record_init(f, nr_cpus);
}

void fixture_fini(struct dump_fixture *f)
{
	DIR *dir = fdopendir(dup(f->dir_fd));
	struct dirent *entry;

	rewinddir(dir);
	while ((entry = readdir(dir)))
		unlinkat(f->dir_fd, entry->d_name, 0);
	closedir(dir);
	rmdir(f->dir);
	close(f->dir_fd);
	close(f->proc_fd);
	close(f->region_fd);
	close(f->record_fd);
	dump_record_unmap(f->record, f->nr_cpus);
}

bool fixture_mount(struct dump_fixture *f, const char *options)
{
	int fd;

	if (mount("minivmm-test", f->dir, "tmpfs", 0, options) < 0)
		return false;
	fd = open(f->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	ck_assert_int_ge(fd, 0);
	/* Detached right away: gone with the last descriptor, also when the test fails. */
	ck_assert_int_eq(umount2(f->dir, MNT_DETACH), 0);
	rmdir(f->dir);
	close(f->dir_fd);
	close(f->region_fd);
	f->dir_fd = fd;
	f->region_fd = openat(fd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	ck_assert_int_ge(f->region_fd, 0);
	ck_assert_int_eq(ftruncate(f->region_fd, (off_t)dump_layout_file_size(&f->layout)), 0);
	return true;
}

static void page_contents(uint64_t page, uint64_t seed, uint64_t words[512])
{
	for (uint64_t i = 0; i < 512; i++)
		words[i] = (seed + page * 512 + i) * 0x9e3779b97f4a7c15ull;
}

void fixture_page(uint64_t page, uint64_t seed, void *contents)
{
	uint64_t words[512];

	page_contents(page, seed, words);
	memcpy(contents, words, sizeof(words));
}

void fixture_fill(struct dump_fixture *f, uint64_t first, uint64_t count, uint64_t seed)
{
	uint64_t words[512];

	for (uint64_t page = first; page < first + count; page++) {
		page_contents(page, seed, words);
		/* no assertion for each page: Check writes to a file at every one */
		if (pwrite(f->region_fd, words, 4096, (off_t)(f->layout.head + page * 4096)) != 4096)
			ck_abort_msg("page %llu: %s", (unsigned long long)page, strerror(errno));
	}
}

uint64_t fixture_bad_pages(int fd, uint64_t head, uint64_t first, uint64_t count, uint64_t seed)
{
	uint64_t want[512], got[512];
	uint64_t bad = 0;

	for (uint64_t page = first; page < first + count; page++) {
		page_contents(page, seed, want);
		if (pread(fd, got, 4096, (off_t)(head + page * 4096)) != 4096 || memcmp(got, want, 4096))
			bad++;
	}
	return bad;
}

struct dump_engine fixture_engine(struct dump_fixture *f)
{
	return (struct dump_engine){.record = f->record,
		.region_fd = f->region_fd,
		.region_dir_fd = f->dir_fd,
		.dir_fd = f->dir_fd,
		.fallback_dir_fd = -1,
		.given_dump_fd = -1,
		.proc_fd = f->proc_fd};
}

bool fixture_exists(const struct dump_fixture *f, const char *name)
{
	return !faccessat(f->dir_fd, name, F_OK, AT_SYMLINK_NOFOLLOW);
}

int fixture_open(const struct dump_fixture *f, const char *name)
{
	int fd = openat(f->dir_fd, name, O_RDWR | O_CLOEXEC);

	ck_assert_msg(fd >= 0, "%s: %s", name, strerror(errno));
	return fd;
}

unsigned fixture_nr_files(const struct dump_fixture *f)
{
	DIR *dir = fdopendir(dup(f->dir_fd));
	struct dirent *entry;
	unsigned nr = 0;

	rewinddir(dir);
	while ((entry = readdir(dir)))
		nr += entry->d_name[0] != '.';
	closedir(dir);
	return nr;
}

uint64_t fixture_populated(int fd, uint64_t off, uint64_t len)
{
	off_t end = (off_t)(off + len);
	uint64_t sum = 0;
	off_t at = (off_t)off;

	while ((at = lseek(fd, at, SEEK_DATA)) >= 0 && at < end) {
		off_t stop = lseek(fd, at, SEEK_HOLE);

		sum += (uint64_t)((stop < end ? stop : end) - at);
		at = stop;
	}
	return sum;
}

void fixture_set_cpu(struct dump_cpu *cpu, uint32_t nr)
{
	uint64_t *words = (uint64_t *)cpu;

	for (size_t i = 0; i < offsetof(struct dump_cpu, apic_id) / 8; i++)
		words[i] = (uint64_t)(nr + 1) << 32 | (i + 1);
	cpu->apic_id = nr;
	cpu->saved = 1;
	cpu->raw_len = 1000 + 8 * nr;
	memset(cpu->raw, (int)nr + 1, cpu->raw_len);
}

static void read_notes(struct elf_view *view, const Elf64_Phdr *phdr)
{
	size_t at = phdr->p_offset, end = phdr->p_offset + phdr->p_filesz;

	ck_assert_uint_le(end, view->size);
	while (at < end) {
		const Elf64_Nhdr *nhdr = (const Elf64_Nhdr *)(view->map + at);
		struct note *note = &view->notes[view->nr_notes++];

		ck_assert_uint_le(view->nr_notes, 512);
		ck_assert_uint_le(nhdr->n_namesz, sizeof(note->name));
		memcpy(note->name, nhdr + 1, nhdr->n_namesz);
		ck_assert_uint_eq(strlen(note->name) + 1, nhdr->n_namesz);
		note->type = nhdr->n_type;
		note->len = nhdr->n_descsz;
		note->desc = view->map + at + sizeof(*nhdr) + (nhdr->n_namesz + 3u) / 4 * 4;
		at += sizeof(*nhdr) + (nhdr->n_namesz + 3u) / 4 * 4 + (nhdr->n_descsz + 3u) / 4 * 4;
	}
	ck_assert_uint_eq(at, end);
}

void elf_open(struct elf_view *view, int fd)
{
	struct stat st;

	memset(view, 0, sizeof(*view));
	ck_assert_int_eq(fstat(fd, &st), 0);
	view->size = (size_t)st.st_size;
	view->map = mmap(NULL, view->size, PROT_READ, MAP_PRIVATE, fd, 0);
	ck_assert_ptr_ne(view->map, MAP_FAILED);
	view->ehdr = (const Elf64_Ehdr *)view->map;
	ck_assert_mem_eq(view->ehdr->e_ident, "\177ELF\2\1\1", 7);
	view->phdrs = (const Elf64_Phdr *)(view->map + 64);
	ck_assert_uint_eq(view->phdrs[0].p_type, PT_NOTE);
	read_notes(view, &view->phdrs[0]);
}

void elf_close(struct elf_view *view)
{
	munmap(view->map, view->size);
}

const struct note *elf_note(const struct elf_view *view, const char *name, uint32_t type, unsigned nth)
{
	for (size_t i = 0; i < view->nr_notes; i++)
		if (!strcmp(view->notes[i].name, name) && view->notes[i].type == type && !nth--)
			return &view->notes[i];
	ck_abort_msg("no note %s type %u", name, type);
	return NULL;
}
