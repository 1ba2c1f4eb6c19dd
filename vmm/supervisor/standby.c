/* SPDX-License-Identifier: Apache-2.0 */
/* vmm/supervisor/standby.c - see standby.h */
#include "vmm/supervisor/standby.h"

#include "dump/base/io.h"
#include "dump/base/log.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

void standby_init(struct standby *standby)
{
	*standby = (struct standby){.files = BOOT_FILES_NONE};
}

void standby_open(struct standby *standby, const struct vm_shared *shared, const char *what,
	const struct boot_source *source)
{
	standby->shared = shared;
	standby->what = what;
	standby->source = *source;
	boot_files_open(&standby->files, source);
	standby->source.files = &standby->files;
	standby->source.unwanted = &standby->unwanted;
}

void standby_fini(struct standby *standby)
{
	atomic_store(&standby->unwanted, true);
	if (standby->state == STANDBY_BUILDS)
		pthread_join(standby->thread, NULL);
	vm_destroy(standby->vm);
	boot_files_close(&standby->files);
	standby_init(standby);
}

static void build(struct standby *standby)
{
	standby->why[0] = '\0';
	standby->err = vm_create(&standby->vm, standby->shared, standby->initial, &standby->source,
		standby->why, sizeof(standby->why));
}

struct vm *standby_make(struct standby *standby, int *ret_err)
{
	struct vm *vm;

	build(standby);
	vm = standby->vm;
	standby->vm = NULL;
	*ret_err = standby->err;
	if (standby->err)
		log_error("%s: %s", standby->what, standby->why);
	return standby->err ? NULL : vm;
}

static void *builder_thread(void *opaque)
{
	struct standby *standby = opaque;

	build(standby);
	atomic_store_explicit(&standby->done, true, memory_order_release); /* pairs with standby_look() */
	io_ring(standby->shared->notify_fd);
	return NULL;
}

void standby_build(struct standby *standby, uint64_t initial)
{
	int err;

	assert(standby->state == STANDBY_NONE);
	standby->initial = initial;
	atomic_store(&standby->done, false);
	err = pthread_create(&standby->thread, NULL, builder_thread, standby);
	standby->state = err ? STANDBY_FAILED : STANDBY_BUILDS;
	if (!err)
		return;
	standby->err = -err;
	snprintf(standby->why, sizeof(standby->why), "thread: %s", strerror(err));
}

bool standby_look(struct standby *standby)
{
	if (standby->state != STANDBY_BUILDS ||
		!atomic_load_explicit(
			&standby->done, memory_order_acquire)) /* pairs with builder_thread() */
		return false;
	pthread_join(standby->thread, NULL);
	standby->state = standby->err ? STANDBY_FAILED : STANDBY_BUILT;
	return true;
}

struct vm *standby_take(struct standby *standby)
{
	struct vm *vm = standby->vm;

	assert(standby->state == STANDBY_BUILT);
	standby->vm = NULL;
	standby->state = STANDBY_NONE;
	return vm;
}

void standby_forget(struct standby *standby)
{
	if (standby->state == STANDBY_FAILED)
		standby->state = STANDBY_NONE;
}

bool standby_may_retry(int err)
{
	return err == -ENOSPC || err == -ENOMEM || err == -EMFILE || err == -ENFILE || err == -EAGAIN;
}
