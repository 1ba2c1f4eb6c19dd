# SPDX-License-Identifier: Apache-2.0
#
# minivmm - one non-recursive Makefile; everything it makes is under $(B).
#
#   make              build minivmm and the guest stub
#   make V=1          show the commands
#   make CC=clang     with another compiler
#   make SAN=address,undefined   with sanitizers (into its own build directory)
#   make WERROR=1     warnings are errors
#   make help         all targets

VERSION := 0.1.0

CC ?= gcc
V ?= 0
SAN ?=
WERROR ?= 0
PREFIX ?= /usr/local
DESTDIR ?=
comma := ,
B ?= build$(if $(SAN),/san-$(subst $(comma),-,$(SAN)))$(if $(filter-out cc gcc,$(CC)),/$(notdir $(CC)))

ifeq ($(V),1)
Q :=
say = @:
else
Q := @
say = @printf '  %-7s %s\n' $(1) $(2)
endif
ifneq ($(V),1)
MAKEFLAGS += --no-print-directory
endif

# ---- flags --------------------------------------------------------------------------------------

WARN := -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wold-style-definition \
        -Wpointer-arith -Wcast-qual -Wwrite-strings -Wundef -Wvla -Wformat=2 -Wimplicit-fallthrough \
        $(if $(filter 1,$(WERROR)),-Werror)
OPT ?= -O2 -g
CPPFLAGS += -I. -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -DMINIVMM_VERSION='"$(VERSION)"'
CFLAGS += -std=gnu17 $(OPT) $(WARN) -fno-common -fstack-protector-strong -pthread -MMD -MP
LDFLAGS += -pthread
LDLIBS += -linih -lcap -lseccomp -llz4 -lz
ifneq ($(SAN),)
CFLAGS += -fsanitize=$(SAN) -fno-sanitize-recover=all -fno-omit-frame-pointer
LDFLAGS += -fsanitize=$(SAN)
endif

# ---- sources ------------------------------------------------------------------------------------

MAIN_SRC := vmm/cli/main.c
LIB_SRC := $(sort $(filter-out $(MAIN_SRC),$(wildcard vmm/*/*.c firmware/*.c dump/*/*.c)))
UNIT_SRC := $(sort $(wildcard tests/unit/*.c))
KVM_SRC := $(sort $(wildcard tests/kvm/*.c))
DEBIAN_SRC := $(sort $(wildcard tests/debian/*.c))
FUZZ_SRC := $(sort $(wildcard tests/fuzz/fuzz_*.c))
TOOL_SRC := $(sort $(wildcard tests/tools/*.c))
BENCH_SRC := $(sort $(wildcard bench/*.c))
STUB_C := $(sort $(wildcard guest-stub/*.c))
STUB_S := $(sort $(wildcard guest-stub/*.S))

LIB_OBJ := $(LIB_SRC:%.c=$(B)/%.o)
MAIN_OBJ := $(MAIN_SRC:%.c=$(B)/%.o)
UNIT_OBJ := $(UNIT_SRC:%.c=$(B)/%.o)
KVM_OBJ := $(KVM_SRC:%.c=$(B)/%.o)
DEBIAN_OBJ := $(DEBIAN_SRC:%.c=$(B)/%.o) $(filter-out $(B)/tests/kvm/main.o $(B)/tests/kvm/test_%,$(KVM_OBJ))
FUZZ_BIN := $(FUZZ_SRC:%.c=$(B)/%)
FUZZ_OBJ := $(addprefix $(B)/tests/,fuzz/guest.o fuzz/linux_guest.o fuzz/replay.o vmcores/mini.o)
TOOL_BIN := $(TOOL_SRC:%.c=$(B)/%)
REDUMP := $(B)/tests/vmcores/redump
BENCH_BIN := $(BENCH_SRC:%.c=$(B)/%)

MINIVMM := $(B)/minivmm
STUB := $(B)/guest-stub/stub.elf

.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
.SUFFIXES:

.PHONY: all
all: $(MINIVMM) $(STUB) ## build minivmm and the guest stub

$(MINIVMM): $(MAIN_OBJ) $(LIB_OBJ)
	$(call say,LD,$@)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS)

$(B)/%.o: %.c
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CPPFLAGS) $(CFLAGS) $(CFLAGS_$(firstword $(subst /, ,$*))) -c -o $@ $<

# ---- the guest stub: freestanding, never sanitized ----------------------------------------------
# The body runs in ring 3 and may use any vector code.  Ring 0 keeps only the trap handlers
# (guest-stub/trap*.c), compiled for the general registers alone: docs/guest-stub.md says why.

STUB_OBJ := $(STUB_C:%.c=$(B)/%.o) $(STUB_S:%.S=$(B)/%.o)
STUB_CPPFLAGS := -I. -DMINIVMM_VERSION='"$(VERSION)"'
STUB_CFLAGS := -std=gnu17 -O2 -g $(WARN) -ffreestanding -fno-pic -fno-pie -fno-stack-protector \
               -fno-asynchronous-unwind-tables -fcf-protection=none -mno-red-zone -mcmodel=small \
               -MMD -MP
# gcc would turn the stub's own memset into a call of memset
STUB_CFLAGS += $(if $(findstring clang,$(CC)),,-fno-tree-loop-distribute-patterns)
STUB_RING0 := -mgeneral-regs-only -mno-lzcnt -mno-bmi

$(B)/guest-stub/%.o: guest-stub/%.c
	$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(STUB_CPPFLAGS) $(STUB_CFLAGS) $(if $(filter trap%,$*),$(STUB_RING0)) -c -o $@ $<

$(B)/guest-stub/%.o: guest-stub/%.S
	$(call say,AS,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(STUB_CPPFLAGS) -MMD -MP -g -c -o $@ $<

$(STUB): $(STUB_OBJ) guest-stub/stub.lds
	$(call say,LD,$@)
	$(Q)$(CC) -nostdlib -static $(if $(findstring clang,$(CC)),,-no-pie) -Wl,-T,guest-stub/stub.lds -Wl,--build-id=none -Wl,-z,noexecstack \
		-o $@ $(STUB_OBJ)

# ---- tests and bench ----------------------------------------------------------------------------

$(B)/tests/unit-tests: $(UNIT_OBJ) $(B)/tests/vmcores/mini.o $(LIB_OBJ)
	$(call say,LD,$@)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS) $$(pkg-config --libs check)

$(B)/tests/kvm-tests: $(KVM_OBJ) $(LIB_OBJ) | $(B)/tests/preload/faults.so
	$(call say,LD,$@)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS) $$(pkg-config --libs check)

# Loaded into a minivmm under test; never sanitized, and without 64-bit names for its own functions.
$(B)/tests/preload/%.so: tests/preload/%.c
	$(call say,LD,$@)
	@mkdir -p $(@D)
	$(Q)$(CC) -std=gnu17 -O2 $(WARN) -D_GNU_SOURCE -D_LARGEFILE64_SOURCE -fPIC -shared -o $@ $< -ldl

$(B)/tests/debian-tests: $(DEBIAN_OBJ) $(LIB_OBJ)
	$(call say,LD,$@)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS) $$(pkg-config --libs check)

# A fuzz target is built here as a plain program that replays files; docs/testing.md tells how to fuzz.
$(FUZZ_BIN): $(B)/tests/fuzz/%: $(B)/tests/fuzz/%.o $(FUZZ_OBJ) $(LIB_OBJ)
	$(call say,LD,$@)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS)

$(REDUMP): $(B)/tests/vmcores/redump.o $(LIB_OBJ)
	$(call say,LD,$@)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS)

# Tools and bench programs share no code with the project: they judge it.
$(TOOL_BIN) $(BENCH_BIN): $(B)/%: $(B)/%.o
	$(call say,LD,$@)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS_$(@F))
LDLIBS_ideal-lz4 := -llz4

-include $(wildcard $(B)/*/*.d $(B)/*/*/*.d)

# ---- what people call ---------------------------------------------------------------------------

LOGS := $(B)/tests
# "all": every tests/linux/test-*; the others take part in make check-long (docs/testing.md tells why)
LINUX_SUITES ?= debian devices example selection
LINUX_TESTS := $(if $(filter all,$(LINUX_SUITES)),$(sort $(wildcard tests/linux/test-*)),$(LINUX_SUITES:%=tests/linux/test-%))
LINUX_LOGS := $(LINUX_TESTS:tests/linux/test-%=$(LOGS)/linux-%.log)
LINUX_RUNS := $(LINUX_TESTS:tests/linux/test-%=run-linux-%)
# How many of the test programs run at a time, in this order: what takes long comes first.
TEST_JOBS ?= 2
RUNS := run-kvm $(LINUX_RUNS) run-nested run-vmcores run-unit run-stub run-static run-fuzz
# $(call run_test,NAME,COMMAND): runs COMMAND, shows and keeps its output; the summary judges.
define run_test
@mkdir -p $(LOGS)
@printf '== %s\n' $(1); { $(2) || echo "(exit status $$?)"; } 2>&1 | tee $(LOGS)/$(1).log
endef

.PHONY: demo
demo: ## install what is missing, build, crash a guest, show dump and recovery
	@tests/bootstrap demo
	@$(MAKE) all
	@tests/demo $(MINIVMM) $(STUB)

.PHONY: check
check: ## install what is missing, build, run every test (under 15 minutes)
	@tests/bootstrap check
	@rm -f $(LOGS)/*.log
	@$(MAKE) test-programs
	@echo "running the tests, $(TEST_JOBS) programs at a time; each shows its output when it is done"
	@$(MAKE) -j$(TEST_JOBS) --output-sync=line $(RUNS)
	@tests/summary $(addprefix $(LOGS)/,layers.log docs.log bench.log unit.log fuzz.log stub.log nested.log vmcores.log kvm.log) $(LINUX_LOGS)

.PHONY: check-long
check-long: ## the same with 200 kills at random moments, 1000 crashes in a row and larger guests
	@UNIT_TESTS_LONG=1 LINUX_SUITES=all SALVAGE_KILLS=200 DISK_PANICS=100 NET_MB=100 LINUX_KERNELS="6.1 6.12" HANDOVER_CYCLES=1000 VMCORES="6.1 6.12" CONFORMANCE_SCALE=4 NESTED_SUITES=all NESTED_LIMIT=14400 \
		$(MAKE) check

.PHONY: check-unit
check-unit: ## the unit tests and the fuzz corpora alone (for sanitizers)
	@tests/bootstrap check
	@rm -f $(LOGS)/*.log
	@$(MAKE) $(B)/tests/unit-tests $(FUZZ_BIN)
	@$(MAKE) run-unit run-fuzz
	@tests/summary $(addprefix $(LOGS)/,unit.log fuzz.log)

.PHONY: check-kvm
check-kvm: ## the tests that need KVM alone (NESTED=1: in the nested machine)
	@tests/bootstrap check
	@rm -f $(LOGS)/*.log
	@$(MAKE) test-programs
	@$(MAKE) run-kvm
	@tests/summary $(LOGS)/kvm.log

.PHONY: check-linux
check-linux: ## the tests of Linux guests alone, in the nested machine
	@tests/bootstrap check
	@rm -f $(LOGS)/linux-*.log
	@$(MAKE) test-programs
	@$(MAKE) $(LINUX_RUNS)
	$(if $(LINUX_LOGS),@tests/summary $(LINUX_LOGS),@echo "no tests/linux/test-* here")

.PHONY: check-tools
check-tools: ## crash, drgn, gdb and makedumpfile on a selective dump; downloads 300 MB of debug information once
	@tests/bootstrap tools
	@rm -f $(LOGS)/tools.log
	@$(MAKE) $(MINIVMM) $(REDUMP)
	$(call run_test,tools,tests/vmcores/check-tools $(B))
	@tests/summary $(LOGS)/tools.log

.PHONY: test-programs $(RUNS)
test-programs: all $(B)/tests/unit-tests $(B)/tests/kvm-tests $(B)/tests/debian-tests $(FUZZ_BIN) $(TOOL_BIN) $(BENCH_BIN) $(REDUMP)
run-static:
	$(call run_test,layers,CC="$(CC)" tests/check-layers)
	$(call run_test,docs,tests/check-docs $(MINIVMM))
	$(call run_test,bench,tests/bench-compare)
run-unit:
	$(call run_test,unit,$(B)/tests/unit-tests)
run-fuzz:
	$(call run_test,fuzz,tests/fuzz/replay-all $(FUZZ_BIN))
run-stub:
	$(call run_test,stub,tests/stub-qemu.sh $(STUB))
run-nested:
	$(call run_test,nested,tests/nested/selftest)
run-vmcores:
	$(call run_test,vmcores,tests/vmcores/check $(B) $(VMCORES))
run-kvm:
	$(call run_test,kvm,tests/kvm-run $(B))
# Tests of Linux guests: every program tests/linux/test-*, in the nested machine.  docs/testing.md has the conventions.
$(LINUX_RUNS): run-linux-%:
	$(call run_test,linux-$*,tests/linux-run $(B) tests/linux/test-$*)

.PHONY: bench bench-quick bench-full bench-programs
bench: bench-programs ## measure, about 5 minutes: a table, $(B)/bench/report.html and results.jsonl
	@bench/run --build $(B)
bench-quick: bench-programs ## the same with small guests and few variants, under a minute
	@bench/run --build $(B) --quick
bench-full: bench-programs ## the same with large guests and every variant, as long as it takes
	@bench/run --build $(B) --full
bench-programs:
	@tests/bootstrap bench
	@$(MAKE) all $(BENCH_BIN) $(TOOL_BIN) $(REDUMP)

.PHONY: install uninstall
install: $(MINIVMM) $(STUB) ## install minivmm, the stub kernel and the documents below $(PREFIX)
	install -Dm755 $(MINIVMM) $(DESTDIR)$(PREFIX)/bin/minivmm
	install -Dm644 $(STUB) $(DESTDIR)$(PREFIX)/share/minivmm/stub.elf
	install -Dm644 firmware/abi.h $(DESTDIR)$(PREFIX)/include/minivmm/abi.h
	install -d $(DESTDIR)$(PREFIX)/share/doc/minivmm
	install -m644 README.md LICENSE docs/*.md $(DESTDIR)$(PREFIX)/share/doc/minivmm
uninstall: ## remove what install put there; dumps in /dev/shm/minivmm stay
	rm -f $(DESTDIR)$(PREFIX)/bin/minivmm
	rm -rf $(DESTDIR)$(PREFIX)/share/minivmm $(DESTDIR)$(PREFIX)/share/doc/minivmm
	rm -rf $(DESTDIR)$(PREFIX)/include/minivmm

.PHONY: format format-check
FORMAT_SRC = $(shell git ls-files '*.c' '*.h')
format: ## rewrite all sources in the project's format
	clang-format -i $(FORMAT_SRC)
format-check: ## fail if a source is not in the project's format
	clang-format --dry-run -Werror $(FORMAT_SRC)

.PHONY: clean help
clean: ## remove build/
	rm -rf build
help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-14s %s\n", $$1, $$2 }' Makefile
