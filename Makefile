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
LDLIBS += -linih -lcap -lseccomp -llz4
ifneq ($(SAN),)
CFLAGS += -fsanitize=$(SAN) -fno-sanitize-recover=all -fno-omit-frame-pointer
LDFLAGS += -fsanitize=$(SAN)
endif

# ---- sources ------------------------------------------------------------------------------------

MAIN_SRC := vmm/main.c
LIB_SRC := $(sort $(filter-out $(MAIN_SRC),$(wildcard vmm/*.c firmware/*.c dump/*.c dump/base/*.c)))
UNIT_SRC := $(sort $(wildcard tests/unit/*.c))
KVM_SRC := $(sort $(wildcard tests/kvm/*.c))
FUZZ_SRC := $(sort $(wildcard tests/fuzz/fuzz_*.c))
TOOL_SRC := $(sort $(wildcard tests/tools/*.c))
BENCH_SRC := $(sort $(wildcard bench/*.c))
STUB_C := $(sort $(wildcard guest-stub/*.c))
STUB_S := $(sort $(wildcard guest-stub/*.S))

LIB_OBJ := $(LIB_SRC:%.c=$(B)/%.o)
MAIN_OBJ := $(MAIN_SRC:%.c=$(B)/%.o)
UNIT_OBJ := $(UNIT_SRC:%.c=$(B)/%.o)
KVM_OBJ := $(KVM_SRC:%.c=$(B)/%.o)
FUZZ_BIN := $(FUZZ_SRC:%.c=$(B)/%)
TOOL_BIN := $(TOOL_SRC:%.c=$(B)/%)
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
               -fno-tree-loop-distribute-patterns -MMD -MP
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
	$(Q)$(CC) -nostdlib -static -no-pie -Wl,-T,guest-stub/stub.lds -Wl,--build-id=none -Wl,-z,noexecstack \
		-o $@ $(STUB_OBJ)

# ---- tests and bench ----------------------------------------------------------------------------

$(B)/tests/unit-tests: $(UNIT_OBJ) $(LIB_OBJ)
	$(call say,LD,$@)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS) $$(pkg-config --libs check)

$(B)/tests/kvm-tests: $(KVM_OBJ) $(LIB_OBJ)
	$(call say,LD,$@)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS) $$(pkg-config --libs check)

# A fuzz target is built here as a plain program that replays files; docs/testing.md tells how to fuzz.
$(FUZZ_BIN): $(B)/tests/fuzz/%: $(B)/tests/fuzz/%.o $(B)/tests/fuzz/replay.o $(LIB_OBJ)
	$(call say,LD,$@)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^ $(LDLIBS)

# Tools and bench programs share no code with the project: they judge it.
$(TOOL_BIN) $(BENCH_BIN): $(B)/%: $(B)/%.o
	$(call say,LD,$@)
	$(Q)$(CC) $(CFLAGS) $(LDFLAGS) -o $@ $^

-include $(wildcard $(B)/*/*.d $(B)/*/*/*.d)
