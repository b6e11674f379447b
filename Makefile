# SPDX-License-Identifier: GPL-2.0
# Builds, tests and installs qedblk. `make help` lists the targets.
#
# Variables: V=1 shows commands, BUILD=DIR builds elsewhere, SANITIZE=address,undefined or
# SANITIZE=thread builds below $(BUILD)/sanitize-*, CC, CFLAGS, LDFLAGS as usual, HARDENING= without
# compiler hardening.

SHELL := /bin/bash
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules

ifeq ($(origin CC),default)
CC := gcc
endif
AR ?= ar
CFLAGS ?= -O2 -g
PKG_CONFIG ?= pkg-config
BUILD ?= build
PREFIX ?= /usr/local
SANITIZE ?=

comma := ,
OUT := $(BUILD)$(if $(SANITIZE),/sanitize-$(subst $(comma),-,$(SANITIZE)))
OBJ := $(OUT)/obj

ifeq ($(V),1)
Q :=
say = @:
else
Q := @
say = @printf '  %-7s %s\n'
endif

# ---- What is built: all by wildcard, so that a new file needs no line here ----

LIB_SRC := $(foreach d,util aio file file/* block format format/* populate job ublk device,$(wildcard userspace/$(d)/*.c))
TOOLLIB_SRC := $(foreach d,cmdline client image,$(wildcard tools/$(d)/*.c))

# A directory with a main() is a program.
program_dirs := userspace/server tools/qedctl tools/qed-img tools/qed-io
program_name = $(if $(filter userspace/server,$(1)),qedd,$(notdir $(1)))
with_main := $(shell grep -ls '^int main' $(wildcard $(program_dirs:%=%/*.c)) /dev/null)
live_dirs := $(patsubst %/,%,$(sort $(dir $(with_main))))
PROGRAMS := $(foreach d,$(live_dirs),$(OUT)/$(call program_name,$(d)))

# Each of these files is a separate program.
UNIT_SRC := $(wildcard tests/unit/test_*.c)
HELPER_SRC := $(wildcard tests/interop/*.c tests/vm/*.c)
BENCH_SRC := $(wildcard tests/bench/bench_*.c)
UNIT_TESTS := $(UNIT_SRC:%.c=$(OUT)/%)

# The pure files of the kernel target, and their tests, which are also a KUnit suite.
PURE_SRC := kernel/zero-map.c kernel/zero-run.c
KUNIT_SRC := $(wildcard tests/kunit/test_*.c)
KUNIT_TESTS := $(KUNIT_SRC:%.c=$(OUT)/%)
TEST_HELPERS := $(HELPER_SRC:%.c=$(OUT)/%)
BENCHES := $(BENCH_SRC:%.c=$(OUT)/%)

# Fuzz targets; FUZZ_ENGINE=-fsanitize=fuzzer selects libFuzzer instead of our own driver.
FUZZ_ENGINE ?=
FUZZ_SRC := $(wildcard tests/fuzz/fuzz_*.c)
FUZZ_COMMON := $(filter-out $(FUZZ_SRC) $(if $(FUZZ_ENGINE),tests/fuzz/driver.c),\
	$(wildcard tests/fuzz/*.c))
# Sources from programs' directories that a target tests.
fuzz_control_SRC := userspace/server/protocol.c
fuzz_qed_io_SRC := $(filter-out tools/qed-io/main.c,$(wildcard tools/qed-io/*.c))
FUZZ_TESTS := $(FUZZ_SRC:%.c=$(OUT)/%)

# One program of all files of tests/crash.
CRASH_SRC := $(wildcard tests/crash/*.c)
CRASH_TEST := $(if $(CRASH_SRC),$(OUT)/tests/crash/qed_crash)

# Programs in which the Nth allocation, read, write, ... fails: the engine, and the unchanged tools.
FAULT_SRC := $(wildcard tests/faults/*.c)
FAULT_TOOLS := $(OUT)/tests/faults/qed-img $(OUT)/tests/faults/qed-io
FAULT_TESTS := $(OUT)/tests/faults/engine $(FAULT_TOOLS)

COMPLETIONS := completions/qedblk

MAN_SRC := $(wildcard Documentation/man/*.rst)
# Prints the options of a device for the manual pages; not installed.
MAN_OPTIONS := $(OUT)/man-options
MAN_PAGES := $(MAN_SRC:Documentation/man/%.rst=$(BUILD)/man/%)

# The plugin is built if nbdkit's header is installed.
PLUGIN_SRC := $(wildcard tools/nbdkit/*.c)
PLUGIN := $(if $(shell $(PKG_CONFIG) --exists nbdkit 2>/dev/null && echo yes),\
	$(OUT)/nbdkit-qed-plugin.so)
# Where nbdkit looks for plugins by name; below any other PREFIX its path names it.
nbdkit_own = $(shell $(PKG_CONFIG) --variable=plugindir nbdkit)
NBDKIT_PLUGINDIR ?= $(if $(filter /usr /usr/local,$(PREFIX)),$(nbdkit_own),$(PREFIX)/lib/nbdkit/plugins)

LIB := $(OUT)/libqedblk.a
TOOLLIB := $(OUT)/libqedtools.a

obj_of = $(patsubst %.c,$(OBJ)/%.o,$(1))

# ---- Build rules ----

# pkg-config runs once, and only when something is compiled: a fresh machine may lack it.
PKGS := liburing devmapper liburcu-qsbr jansson zlib libzstd libnbd libedit libsystemd blkid
pkg = $(shell $(PKG_CONFIG) $(1) 2>/dev/null)
PKG_CFLAGS = $(eval PKG_CFLAGS := $(call pkg,--cflags $(PKGS)))$(PKG_CFLAGS)
PKG_LIBS = $(eval PKG_LIBS := $(call pkg,--libs $(PKGS)))$(PKG_LIBS)
CMOCKA_CFLAGS = $(eval CMOCKA_CFLAGS := $(call pkg,--cflags cmocka))$(CMOCKA_CFLAGS)
CMOCKA_LIBS = $(eval CMOCKA_LIBS := $(call pkg,--libs cmocka))$(CMOCKA_LIBS)

WARNINGS := -Wall -Wextra -Werror -Wstrict-prototypes -Wmissing-prototypes
CPPFLAGS_ALL = -D_GNU_SOURCE -D_FILE_OFFSET_BITS=64 -Iuserspace -Itools $(CPPFLAGS)
SAN_FLAGS := $(if $(SANITIZE),-fsanitize=$(SANITIZE) -fno-omit-frame-pointer \
	$(if $(findstring undefined,$(SANITIZE)),-fno-sanitize-recover=undefined))
# The plugin is a shared object; for programs this costs nothing, since no symbol is exported.
CODE_FLAGS := -fPIC -fvisibility=hidden

# HARDENING= (empty) leaves these out. Of x86's control-flow checks there is no shadow stack, which
# the coroutines' change of stacks (aio/co_switch.c) would need to change, too. _FORTIFY_SOURCE needs
# optimization, sanitizers check more without it, and a level that the user gives stays.
HARDENING ?= yes
branch_x86_64 := -fcf-protection=branch
branch_aarch64 := -mbranch-protection=standard
branch_flags = $(branch_$(firstword $(subst -, ,$(shell $(CC) -dumpmachine 2>/dev/null))))
fortify = $(if $(SANITIZE)$(findstring _FORTIFY_SOURCE,$(CFLAGS) $(CPPFLAGS)),,\
	$(if $(filter -O -O1 -O2 -O3 -Os -Og,$(CFLAGS)),-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2))
ifneq ($(HARDENING),)
HARDEN_CC = $(eval HARDEN_CC := -fstack-protector-strong -fstack-clash-protection $(branch_flags) \
	-Wformat-security $(fortify))$(HARDEN_CC)
HARDEN_LD := -Wl,-z,relro -Wl,-z,now
endif
CFLAGS_ALL = -std=gnu11 $(CODE_FLAGS) $(HARDEN_CC) $(WARNINGS) -pthread $(CPPFLAGS_ALL) $(PKG_CFLAGS) \
	$(CFLAGS) $(SAN_FLAGS)
LDFLAGS_ALL = -pthread -Wl,--as-needed $(HARDEN_LD) $(SAN_FLAGS) $(CFLAGS) $(LDFLAGS)

# Each output is written to a temporary file and renamed: neither two concurrent runs of make in one
# tree nor an interrupted one ever leave a half-written file that looks complete.
tmp = $@.$$$$.tmp
finish = && mv -f $(tmp) $@ || { rm -f $(tmp); exit 1; }

.PHONY: all
all: $(PROGRAMS) $(PLUGIN) $(if $(LIB_SRC),$(LIB))

.PHONY: tests
tests: $(MAN_OPTIONS) $(UNIT_TESTS) $(KUNIT_TESTS) $(TEST_HELPERS) $(CRASH_TEST) $(FUZZ_TESTS) $(FAULT_TESTS)

# A stamp is rewritten only when its text changes; its dependents are then rebuilt.
.PHONY: FORCE
FORCE:

define stamp
@mkdir -p $(@D)
@printf '%s\n' '$(subst ','\'',$(1))' | cmp -s - $@ || printf '%s\n' '$(subst ','\'',$(1))' >$@
endef

$(OBJ)/.flags: FORCE | have-compiler
	$(call stamp,$(shell $(CC) --version 2>/dev/null | head -n 1) $(CFLAGS_ALL) $(LDFLAGS_ALL))

$(OBJ)/.sources: FORCE
	$(call stamp,$(LIB_SRC) $(TOOLLIB_SRC) $(PLUGIN_SRC) $(foreach d,$(live_dirs),$(wildcard $(d)/*.c)))

# missing TEST WHAT SET: end with a line if the shell command TEST fails.
missing = @$(1) || { echo "make: $(2); run: scripts/install-deps$(3)" >&2; exit 1; }
.PHONY: have-compiler have-cmocka have-rst2man
have-compiler:
	$(call missing,command -v $(CC) >/dev/null && $(PKG_CONFIG) --exists $(PKGS),\
		compiler or libraries are missing, build)
have-cmocka:
	$(call missing,$(PKG_CONFIG) --exists cmocka,the tests' library cmocka is missing)
have-rst2man:
	$(call missing,command -v rst2man >/dev/null,rst2man is missing, build)
$(OBJ)/tests/%.o: private CPPFLAGS += -Itests -Itests/unit $(CMOCKA_CFLAGS)
$(OBJ)/tests/kunit/%.o $(OBJ)/kernel/%.o: private CPPFLAGS += -Ikernel -Itests/kunit/include \
	$(CMOCKA_CFLAGS)
$(OBJ)/%.o: %.c $(OBJ)/.flags
	@mkdir -p $(@D)
	$(say) CC $<
	$(Q)$(CC) $(CFLAGS_ALL) -MMD -MP -MF $(@:.o=.d) -MT $@ -c -o $(tmp) $< $(finish)

define archive
	$(say) AR $@
	$(Q)rm -f $(tmp); $(AR) rcs $(tmp) $(filter %.o,$^) $(finish)
endef

$(LIB): $(call obj_of,$(LIB_SRC)) $(OBJ)/.sources
	$(archive)
$(TOOLLIB): $(call obj_of,$(TOOLLIB_SRC)) $(OBJ)/.sources
	$(archive)

define link
	@mkdir -p $(@D)
	$(say) LD $@
	$(Q)$(CC) $(if $(filter -shared,$(1)),,-pie) $(LDFLAGS_ALL) -o $(tmp) $(filter %.o,$^) $(filter %.a,$^) $(1) $(PKG_LIBS) $(finish)
endef

LIBS_ALL := $(if $(TOOLLIB_SRC),$(TOOLLIB)) $(if $(LIB_SRC),$(LIB))

define program_rule
$(OUT)/$(call program_name,$(1)): $(call obj_of,$(wildcard $(1)/*.c)) $(LIBS_ALL) $(OBJ)/.sources
	$$(call link)
endef
$(foreach d,$(live_dirs),$(eval $(call program_rule,$(d))))

# The plugin stays in memory after nbdkit's dlclose(): threads of libraries may still run its code.
$(OUT)/nbdkit-qed-plugin.so: $(call obj_of,$(PLUGIN_SRC)) $(LIBS_ALL) $(OBJ)/.sources
	$(call link,-shared -Wl$(comma)-z$(comma)nodelete)

$(MAN_OPTIONS): $(OBJ)/tools/man/options.o $(LIBS_ALL) $(OBJ)/.sources
	$(call link)
$(UNIT_TESTS): $(OUT)/%: $(OBJ)/%.o $(LIBS_ALL) $(OBJ)/.sources
	$(call link,$(UNIT_LDFLAGS) $(CMOCKA_LIBS))
$(KUNIT_TESTS): $(OUT)/%: $(OBJ)/%.o $(call obj_of,$(PURE_SRC))
	$(call link,$(CMOCKA_LIBS))
$(TEST_HELPERS) $(BENCHES): $(OUT)/%: $(OBJ)/%.o $(LIBS_ALL) $(OBJ)/.sources
	$(call link)
# The server with the test's own ublk device.
$(OUT)/tests/interop/nodev_qedd: $(call obj_of,$(filter-out %/busy.c,$(wildcard userspace/server/*.c)))
$(FUZZ_TESTS): $(OUT)/%: $(OBJ)/%.o $(call obj_of,$(FUZZ_COMMON)) $(LIBS_ALL) $(OBJ)/.sources
	$(call link,$(FUZZ_ENGINE))
$(foreach t,$(FUZZ_TESTS),$(eval $(t): $(call obj_of,$($(notdir $(t))_SRC))))
# Wrapped so that a recorder, or a test's own disk, is between the block layer and image files.
CRASH_LDFLAGS := -Wl,--wrap=blk_file_co_open
$(OUT)/tests/unit/test_qed_opening $(OUT)/tests/unit/test_qed_reopen: UNIT_LDFLAGS := $(CRASH_LDFLAGS)
$(CRASH_TEST): $(call obj_of,$(CRASH_SRC)) $(LIBS_ALL) $(OBJ)/.sources
	$(call link,$(CRASH_LDFLAGS))

# The calls of our code that inject.c wraps; the last ones are what _FORTIFY_SOURCE makes of some.
FAULT_CALLS := malloc calloc realloc reallocarray aligned_alloc posix_memalign strdup strndup asprintf \
	vasprintf open_memstream mmap64 pthread_create io_uring_queue_init_params eventfd aio_co_preadv \
	aio_co_pwritev aio_co_fdatasync aio_co_fallocate pread64 pwrite64 fdatasync fsync ftruncate64 \
	open64 fstat64 stat64 lseek64 __asprintf_chk __vasprintf_chk __open64_2
FAULT_LDFLAGS := $(FAULT_CALLS:%=-Wl$(comma)--wrap=%)
$(OUT)/tests/faults/engine: $(call obj_of,$(FAULT_SRC)) $(LIBS_ALL) $(OBJ)/.sources
	$(call link,$(FAULT_LDFLAGS))
define fault_tool_rule
$(OUT)/tests/faults/$(1): $(call obj_of,$(wildcard tools/$(1)/*.c) tests/faults/inject.c) $(LIBS_ALL) \
		$(OBJ)/.sources
	$$(call link,$$(FAULT_LDFLAGS))
endef
$(foreach t,$(notdir $(FAULT_TOOLS)),$(eval $(call fault_tool_rule,$(t))))

ALL_SRC := $(LIB_SRC) $(if $(PLUGIN),$(PLUGIN_SRC)) $(TOOLLIB_SRC) $(UNIT_SRC) $(HELPER_SRC) $(BENCH_SRC) \
	$(CRASH_SRC) $(PURE_SRC) $(KUNIT_SRC) $(FAULT_SRC) tools/man/options.c \
	$(foreach d,$(live_dirs),$(wildcard $(d)/*.c))
-include $(patsubst %.c,$(OBJ)/%.d,$(ALL_SRC))

$(call obj_of,$(UNIT_SRC) $(KUNIT_SRC)): | have-cmocka

# Keep objects although they are intermediate files of the pattern rule.
.SECONDARY: $(call obj_of,$(ALL_SRC))

.PHONY: man
man: $(MAN_PAGES)
$(BUILD)/man/%: Documentation/man/%.rst scripts/man-page $(MAN_OPTIONS) $(PROGRAMS) | have-rst2man
	@mkdir -p $(@D)
	$(say) MAN $@
	$(Q)set -o pipefail; scripts/man-page $< $(MAN_OPTIONS) | rst2man --strict - $(tmp) $(finish)

# ---- The kernel target ----

KDIR ?= /lib/modules/$(shell uname -r)/build

# $(BUILD)/kernel/dm-qed.ko for the kernel whose headers are in KDIR. W=1 and C=2 have their usual
# meaning. Built from copies, so that kernel/ has only sources.
MODULE_SRC := $(filter-out %.mod.c,$(wildcard kernel/*.[ch])) kernel/Kbuild
MODULE_DIR := $(BUILD)/kernel
MODULE_COPIES := $(MODULE_SRC:kernel/%=$(MODULE_DIR)/%)

$(MODULE_COPIES): $(MODULE_DIR)/%: kernel/%
	@mkdir -p $(@D)
	$(Q)cp $< $(tmp) $(finish)

.PHONY: modules modules_install
modules modules_install: $(MODULE_COPIES)
	@[ -e $(KDIR)/Makefile ] || { echo "make: no kernel headers in $(KDIR): give KDIR=" >&2; exit 1; }
	$(MAKE) -C $(KDIR) M=$(abspath $(MODULE_DIR)) $@

# ---- Installing ----

SBIN := $(filter %/qedd %/qedctl,$(PROGRAMS))
BIN := $(filter-out $(SBIN),$(PROGRAMS))
COMPLETION_DIR = $(PREFIX)/share/bash-completion/completions
# What manual pages name, and what these documents name in turn.
DOC_DIR = $(PREFIX)/share/doc/qedblk
DOCUMENTS := admin-guide.rst admin-guide/dm-qed.rst differences.rst glossary.rst
man_place = $(PREFIX)/share/man/man$(subst .,,$(suffix $(1)))/$(notdir $(1))
# MODE|FILE|DESTINATION of each file. The completion file also has a link for each program's name.
INSTALLED = $(foreach p,$(SBIN),755|$(p)|$(PREFIX)/sbin/$(notdir $(p))) \
	$(foreach p,$(BIN),755|$(p)|$(PREFIX)/bin/$(notdir $(p))) \
	$(foreach p,$(PLUGIN),644|$(p)|$(NBDKIT_PLUGINDIR)/$(notdir $(p))) \
	$(foreach m,$(MAN_PAGES),644|$(m)|$(call man_place,$(m))) \
	$(foreach d,$(DOCUMENTS),644|Documentation/$(d)|$(DOC_DIR)/$(d)) \
	644|$(COMPLETIONS)|$(COMPLETION_DIR)/qedctl
COMPLETION_LINKS = $(addprefix $(COMPLETION_DIR)/,$(filter-out qedctl,$(notdir $(PROGRAMS))))
part = $(word $(1),$(subst |, ,$(2)))

.PHONY: install uninstall
install: all man
	$(foreach f,$(INSTALLED),install -D -m $(call part,1,$(f)) $(call part,2,$(f)) \
		$(DESTDIR)$(call part,3,$(f)) &&) \
	$(foreach l,$(COMPLETION_LINKS),ln -sf qedctl $(DESTDIR)$(l) &&) \
	sed -i 's|/usr/local/share/doc/qedblk|$(DOC_DIR)|' \
		$(foreach m,$(MAN_PAGES),$(DESTDIR)$(call man_place,$(m)))

uninstall:
	rm -f $(addprefix $(DESTDIR),$(foreach f,$(INSTALLED),$(call part,3,$(f))) $(COMPLETION_LINKS))

# ---- Testing ----

SANITIZERS := address,undefined thread
sanitize_dir = $(BUILD)/sanitize-$(subst $(comma),-,$(1))
# The tests end when make ends, in any way.
RUN_TESTS = setpriv --pdeathsig TERM -- tests/run --build $(BUILD)
# Use all processors if no -j is given.
SUBMAKE = $(MAKE) --no-print-directory $(if $(findstring -j,$(MAKEFLAGS)),,-j$(shell nproc))

# `make deps` is its own step because a fresh machine has no compiler when make starts.
.PHONY: deps build-deps
deps:
	@scripts/install-deps
build-deps:
	@scripts/install-deps build

.PHONY: check
check: deps
	$(Q)$(SUBMAKE) all tests man
	$(Q)$(SUBMAKE) build-sanitized
	$(Q)$(RUN_TESTS) self format unit interop extend crash threads faults sanitized vm vm7 kunit module

.PHONY: build-sanitized
build-sanitized:
	$(Q)$(foreach s,$(SANITIZERS),$(SUBMAKE) SANITIZE=$(s) all tests &&) true

.PHONY: check-unit check-interop check-extend check-fuzz check-crash check-threads check-faults check-vm check-vm-7 kunit check-sanitize check-module
.PHONY: format-check
check-unit: all tests
	$(Q)$(RUN_TESTS) unit
check-interop: all tests
	$(Q)$(RUN_TESTS) interop
check-extend: all tests
	$(Q)$(RUN_TESTS) extend
check-fuzz: all tests
	$(Q)$(RUN_TESTS) fuzz
# A longer run: CRASH_IMAGES=200000 make check-crash
check-crash: all tests
	$(Q)$(RUN_TESTS) crash
# All of unit, interop and crash without io_uring.
check-threads: all tests
	$(Q)$(RUN_TESTS) threads-all
# Tests too long for `make check`. A test that can do more looks for QEDBLK_LONG in its environment.
.PHONY: check-long
LONG_LAYERS := unit interop crash threads-all faults
check-long: all tests
	$(Q)CRASH_IMAGES=$${CRASH_IMAGES:-1000000} FAULT_TRIES=$${FAULT_TRIES:-0} QEDBLK_LONG=1 \
		$(RUN_TESTS) $(LONG_LAYERS)
# With more points: FAULT_TRIES=50 make check-faults, or 0 for all of them
check-faults: all tests
	$(Q)$(RUN_TESTS) faults
check-vm: all tests
	$(Q)$(RUN_TESTS) vm
# The kernel target on a 7.x kernel of Debian 13's backports.
check-vm-7: all tests
	$(Q)$(RUN_TESTS) vm7
# The kernel target built for 6.1, 6.12 and 7.x, with sparse, and by DKMS.
check-module:
	$(Q)$(RUN_TESTS) module
# The kernel target's pure logic in a kernel, which the first run builds.
kunit:
	$(Q)$(RUN_TESTS) kunit
check-sanitize: build-sanitized
	$(Q)$(RUN_TESTS) sanitized
format-check:
	$(Q)$(RUN_TESTS) format

# QEMU's own block tests, fetched by the first run, with our programs in the place of theirs.
.PHONY: check-iotests
check-iotests: all
	$(Q)$(RUN_TESTS) iotests

# A long run, with libFuzzer where there is clang: FUZZ_SECONDS for each target, FUZZ_TARGET=qcow2
# for one.
.PHONY: fuzz
fuzz:
	$(Q)BUILD=$(abspath $(BUILD)) MAKE="$(SUBMAKE)" tests/fuzz/run

.PHONY: format
format:
	$(Q)find userspace tools tests kernel -name '*.[ch]' ! -name '*.mod.c' -exec clang-format --style=file -i {} +

# Only some rows: make bench BENCH="alloc read"
.PHONY: bench bench-micro bench-programs
bench-programs: $(BENCHES)
bench: deps
	$(Q)$(SUBMAKE) all bench-programs
	$(Q)QEDBLK_BUILD=$(abspath $(BUILD)) tests/bench/bench $(BENCH)
bench-micro: all $(BENCHES)
	$(Q)set -e; for b in $(BENCHES); do $$b; done

# The main use case on real input; the script detects whether it needs a virtual machine.
ifneq ($(wildcard scripts/demo),)
.PHONY: demo
demo: deps
	$(Q)$(SUBMAKE) all
	$(Q)QEDBLK_BUILD=$(abspath $(BUILD)) scripts/demo
endif

.PHONY: clean
clean:
	rm -rf $(BUILD)

define HELP
all             programs, into $(BUILD)/ (the default)
deps            install missing Debian packages (as root or with sudo)
build-deps      only those that building and installing need
check           deps, build, all tests; ends with: N passed, N failed, N skipped
check-unit check-interop check-extend check-fuzz check-crash check-threads check-faults check-vm
check-vm-7 check-sanitize check-module kunit format-check
                one layer of them
check-iotests   QEMU's own block tests, with our programs in the place of theirs; not in check
check-long      the tests that take hours: a million crash images, each mutant several times,
                a failure at every place, zero detection at every length, offset and byte
demo            deps, build, the main job on real input
modules         [KDIR=] $(BUILD)/kernel/dm-qed.ko; modules_install installs it
fuzz            hostile images, FUZZ_SECONDS=600 for each target; with clang by libFuzzer
bench           measure beside QEMU and the bare file: a table, and $(BUILD)/bench.json;
                [BENCH=WORDS] for rows with these in their names
bench-micro     micro-benchmarks
man             manual pages, into $(BUILD)/man/
install         [DESTDIR=] [PREFIX=/usr/local]: programs, manual pages, documents, completion for bash,
                and nbdkit's plugin: where nbdkit finds it by name, but below PREFIX where that
                is neither /usr nor /usr/local; uninstall takes them away
format          clang-format all sources
clean           remove $(BUILD)/

Variables: V=1, BUILD=DIR, SANITIZE=address,undefined or thread, CC, CFLAGS, LDFLAGS, HARDENING= (none)
endef

.PHONY: help
help:
	@printf '%s\n' "$$HELP_TEXT"
help: export HELP_TEXT := $(HELP)
