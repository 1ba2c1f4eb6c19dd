/* SPDX-License-Identifier: Apache-2.0 */
/* vmm/supervisor/guest_open.c - the parts of a guest, opened in order and closed: see guest.h */
#include "dump/base/io.h"
#include "dump/base/log.h"
#include "vmm/base/exit_codes.h"
#include "vmm/supervisor/guest_impl.h"

#include <string.h>

static void hear_of_job(void *opaque, enum jobs_news news, const struct dump_job *job)
{
	struct guest *guest = opaque;

	handover_hear(&guest->handover, news, job, guest->recovery.vm);
	if (news == JOBS_RELEASED || news == JOBS_FINISHED || news == JOBS_FAILED)
		recovery_hear_of_memory(&guest->recovery);
}

static void init(struct guest *guest, const struct config *config)
{
	guest->config = config;
	guest->started_ns = clock_mono_ns();
	surroundings_init(&guest->around, config);
	handover_init(&guest->handover);
	reapers_init(&guest->reapers, &guest->handover);
	standby_init(&guest->standby);
	standby_init(&guest->fresh);
	jobs_init(&guest->jobs);
	recovery_init(&guest->recovery);
	guest->dying = NULL;
	control_init(&guest->control);
}

static void open_standbys(struct guest *guest)
{
	const struct config *config = guest->config;

	standby_open(&guest->fresh, &guest->around.shared, config->path,
		&(struct boot_source){.kernel = config->vm.kernel,
			.initrd = config->vm.initrd,
			.cmdline = config->vm.cmdline});
	if (config->recovery.enabled)
		standby_open(&guest->standby, &guest->around.shared, "recovery VM",
			&(struct boot_source){.kernel = config->recovery.kernel,
				.initrd = config->recovery.initrd,
				.cmdline = config->recovery.cmdline});
}

static void open_jobs(struct guest *guest)
{
	const struct surroundings *around = &guest->around;

	jobs_open(&guest->jobs, &(struct jobs_setup){.config = guest->config,
					.events = &guest->around.events,
					.epoll_fd = around->epoll_fd,
					.dir_fd = around->dir_fd,
					.dump_dir_fd = around->dump_dir_fd,
					.fallback_dir_fd = around->fallback_dir_fd,
					.released_fd = guest->handover.released_fd,
					.tell = hear_of_job,
					.opaque = guest});
}

int guest_open(struct guest *guest, const struct config *config, const char *events_path)
{
	int code, err;

	init(guest, config);
	code = surroundings_open(&guest->around, events_path);
	if (code)
		return code;
	if (guest_control_open(guest))
		return EXIT_HOST;
	if (guest->control.epoll_fd >= 0 && surroundings_watch(&guest->around, guest->control.epoll_fd)) {
		log_error("event loop: the control socket cannot be watched");
		return EXIT_HOST;
	}
	err = handover_open(&guest->handover, &guest->around);
	if (err) {
		log_error("event loop: %s", strerror(-err));
		return EXIT_HOST;
	}
	open_jobs(guest);
	open_standbys(guest);
	return EXIT_OK;
}

void guest_close(struct guest *guest)
{
	recovery_fini(guest);
	crash_fini(guest);
	standby_fini(&guest->standby);
	standby_fini(&guest->fresh);
	reapers_await(&guest->reapers);
	reapers_fini(&guest->reapers);
	handover_close(&guest->handover);
	backends_close(&guest->around.backends);
	jobs_fini(&guest->jobs); /* after the VMs, which may point at a job's record */
	guest_control_close(guest);
	surroundings_close(&guest->around);
}
