/* SPDX-License-Identifier: Apache-2.0 */
/* vmm/base/exit_codes.h - what the process says at its end.  Only main() and the commands use these. */
#ifndef VMM_BASE_EXIT_CODES_H
#define VMM_BASE_EXIT_CODES_H

/* The table in --help and in README.md: keep the three in step (tests/kvm checks the values). */
#define EXIT_CODES(X)                                                                                      \
	X(EXIT_OK, 0, "the guest powered off, or minivmm was asked to stop")                               \
	X(EXIT_HOST, 1, "the host failed: out of memory, a full or missing directory, a KVM error")        \
	X(EXIT_USAGE, 2, "the command line is wrong")                                                      \
	X(EXIT_CONFIG, 3, "the configuration or a file it names is wrong")                                 \
	X(EXIT_NO_KVM, 4, "KVM is missing, not permitted, or lacks something that is needed")              \
	X(EXIT_CRASHED, 5, "the guest crashed and was not recovered: disabled, or recovery.max reached")   \
	X(EXIT_DUMP, 6, "a crash dump failed or is incomplete")                                            \
	X(EXIT_GUEST, 7, "the guest powered off with a code other than 0")                                 \
	X(EXIT_NOT_RUNNING, 8, "minivmm ctl: the guest is not running")                                    \
	X(EXIT_REFUSED, 9, "minivmm ctl: the guest's minivmm refused the request")                         \
	X(EXIT_NOTHING, 10, "minivmm dump: nothing is missing, but what was asked for is not in the dump")

#define EXIT_CODE_ENUM(name, value, text) name = (value),
enum exit_code { EXIT_CODES(EXIT_CODE_ENUM) };
#undef EXIT_CODE_ENUM

#endif /* VMM_BASE_EXIT_CODES_H */
