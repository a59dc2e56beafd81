# witmill: Wikipedia dump and web in, WebImageText-like corpus and CLIP model out.
#
#   make            build build/<variant>/witmill
#   make demo       a corpus from real pages and pictures, and its report
#   make check      the tests (under three minutes after the build)
#   make check-long fault sweeps, sanitizers, determinism and kill runs
#   make fuzz       libFuzzer on every parser of foreign bytes (clang)
#   make bench      measurements, beside peers where there are any
#   make deps       the Debian packages it needs (installs as root, else prints)
#   make deps-dev   the packages that widen the tests
#   make install    PREFIX=/usr/local DESTDIR=
#   make format     clang-format on all sources; format-check on changed lines
#   make docs       the command pages in docs/, from the option tables
#
# Knobs: CC=clang  SAN=address,undefined | thread  DEBUG=1  V=1
#        FUZZ_SECONDS=60 for make fuzz, DEMO_DEBS=DIR for make demo

CC      ?= cc
ifeq ($(origin CC),default)
CC      := gcc
endif
PREFIX  ?= /usr/local
DESTDIR ?=

comma   := ,
variant := $(notdir $(CC))$(if $(DEBUG),-debug)$(if $(SAN),-$(subst $(comma),+,$(SAN)))
B       := build/$(variant)

# Folders of the library half, in the order of the dependency law
# (tools/check_layers.py holds the law itself).
folders := base catalog querylist filter shards crawler

packages := libcurl libcares libxml-2.0 sqlite3 libjpeg libpng libwebp \
            libwebpdemux libavif lcms2 libarchive zlib libdeflate libzstd \
            libutf8proc libpsl libcrypto libxxhash libseccomp

warnings := -Wall -Wextra -Wshadow -Wmissing-prototypes -Wstrict-prototypes \
            -Wpointer-arith -Wwrite-strings -Wvla -Werror
CFLAGS_OPT := $(if $(DEBUG),-O0,-O2) -g
# No contraction: the perceptual hash and everything else that decides about a
# pair must not depend on whether the compiler fuses a multiply and an add.
CFLAGS_ALL = -std=c11 -D_GNU_SOURCE -I. $(CFLAGS_OPT) $(warnings) \
             -fno-strict-aliasing -ffp-contract=off -pthread -fPIC \
             -fstack-protector-strong \
             $(if $(SAN),-fsanitize=$(SAN) -fno-omit-frame-pointer -fno-sanitize-recover=all -DWITMILL_SANITIZED=1,-D_FORTIFY_SOURCE=2) \
             $(pkg_cflags) $(CFLAGS)
LDFLAGS_ALL = -pthread $(if $(SAN),-fsanitize=$(SAN)) $(LDFLAGS)

# Asked of pkg-config once per build, and loudly when one is missing.
need_libs := $(filter-out deps deps-dev format format-check clean help,$(or $(MAKECMDGOALS),all))
ifneq ($(WITMILL_DEPS_DONE)$(filter-out demo check,$(need_libs)),)
pkg_cflags := $(shell pkg-config --cflags $(packages))
pkg_libs   := $(shell pkg-config --libs $(packages))
ifeq ($(pkg_libs),)
$(error pkg-config does not know one of: $(packages). Run `make deps` first)
endif
endif
LIBS = $(pkg_libs) -lgif -lbz2 -lm -ldl

lib_src   := $(foreach d,$(folders),$(wildcard $d/*.c))
tool_src  := $(wildcard tools/*.c)
test_src  := $(wildcard tests/test_*.c)
part_src  := $(wildcard tests/httpd_*.c)
help_src  := $(filter-out $(test_src) $(part_src),$(wildcard tests/*.c))
fuzz_src  := $(wildcard tests/fuzz/fuzz_*.c)
sql_src   := $(wildcard catalog/*.sql)
lib_obj   := $(lib_src:%.c=$B/%.o)
tool_obj  := $(tool_src:%.c=$B/%.o)
tests_bin := $(test_src:tests/%.c=$B/%)
help_bin  := $(help_src:tests/%.c=$B/%)
fuzz_bin  := $(fuzz_src:tests/fuzz/%.c=$B/replay_%)

Q := $(if $(V),,@)

all: $B/witmill

$B/%.o: %.c
	$Qmkdir -p $(@D)
	$(if $(V),,@echo "  CC    $<";)$(CC) $(CFLAGS_ALL) -MMD -MP -c -o $@ $<

$B/libwitmill.a: $(lib_obj)
	$Qrm -f $@
	$Qar rcs $@ $^

$B/witmill: $(tool_obj) $B/libwitmill.a
	$(if $(V),,@echo "  LINK  $@";)$(CC) $(CFLAGS_ALL) $(LDFLAGS_ALL) -o $@ $^ $(LIBS)

# Commands without main(), for tests of what stands in tools/.
$B/libtools.a: $(filter-out $B/tools/main.o,$(tool_obj))
	$Qrm -f $@
	$Qar rcs $@ $^

# The schemas are embedded (catalog/db.h, DB_EMBED).
$(filter $B/catalog/%.o,$(lib_obj)): $(sql_src)

$(tests_bin): $B/%: $B/tests/%.o $B/libtools.a $B/libwitmill.a
	$(if $(V),,@echo "  LINK  $@";)$(CC) $(CFLAGS_ALL) $(LDFLAGS_ALL) -o $@ $^ -lcmocka $(LIBS)

# Programs that tests start: the scripted server, dumpers, the fault shim's
# helpers. They may use the library.
$(help_bin): $B/%: $B/tests/%.o $B/libwitmill.a
	$(if $(V),,@echo "  LINK  $@";)$(CC) $(CFLAGS_ALL) $(LDFLAGS_ALL) -o $@ $(filter %.o,$^) $B/libwitmill.a $(LIBS)

$B/httpd: $(part_src:%.c=$B/%.o)
$B/test_fetch $B/test_download: | $B/httpd

# A fuzz target over files named on its command line, without libFuzzer.
$(fuzz_bin): $B/replay_%: $B/tests/fuzz/%.o $B/tests/fuzz/replay.o $B/libwitmill.a
	$(if $(V),,@echo "  LINK  $@";)$(CC) $(CFLAGS_ALL) $(LDFLAGS_ALL) -o $@ $^ $(LIBS)

-include $(lib_obj:.o=.d) $(tool_obj:.o=.d) $(tests_bin:$B/%=$B/tests/%.d) $(help_bin:$B/%=$B/tests/%.d) $(part_src:%.c=$B/%.d) $(fuzz_src:%.c=$B/%.d)

clean:
	rm -rf build

.PHONY: all clean
.SECONDARY:
