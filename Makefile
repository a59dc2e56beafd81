# witmill: Wikipedia dump and web in, WebImageText-like corpus and CLIP model out.
#
#   make            build build/<variant>/witmill
#   make demo       a corpus from real pages and pictures, a model, a report
#   make check      the tests (under three minutes after the build)
#   make kernels    registers and spills of the GPU's kernels (needs nvcc, no GPU)
#   make check-long fault sweeps, sanitizers, determinism and kill runs
#   make fuzz       libFuzzer on every parser of foreign bytes (clang)
#   make bench      measurements, beside peers where there are any
#   make deps       the Debian packages it needs (installs as root, else prints)
#   make deps-dev   the packages that widen the tests
#   make train-only what trains alone, build/<variant>-train/witmill-train and its
#                   tests: a C compiler is enough (and the toolkit with CUDA=1)
#   make install    PREFIX=/usr/local DESTDIR=
#   make format     clang-format on all sources; format-check on changed lines
#   make docs       the command pages in docs/, from the option tables
#
# Knobs: CC=clang  SAN=address,undefined | thread  DEBUG=1  V=1
#        CUDA=1 (the toolkit in CUDA_HOME or where tools/find_cuda.sh finds it)
#        CUDA_ARCH="80 90a": the GPUs kernels are compiled for  MPI=1 (libopenmpi-dev)
#        CLD2=1 | 0: telling languages (libcld2-dev and a C++ compiler; without
#        it, where both are there)
#        FUZZ_SECONDS=60 for make fuzz, BENCH=one part of make bench, DEMO_DEBS=DIR
#        for make demo

CC      ?= cc
ifeq ($(origin CC),default)
CC      := gcc
endif
PREFIX  ?= /usr/local
DESTDIR ?=

comma   := ,
variant := $(notdir $(CC))$(if $(DEBUG),-debug)$(if $(CUDA),-cuda)$(if $(MPI),-mpi)$(if $(SAN),-$(subst $(comma),+,$(SAN)))$(if $(TRAIN_ONLY),-train)
B       := build/$(variant)

# Folders of the library half, in the order of the dependency law
# (tools/check_layers.py holds the law itself).
folders := base catalog querylist filter shards crawler train train/ref train/cpu $(if $(CUDA),train/cuda)

# The half that `make train-only` builds: base's files that need no library, the
# reference ops, the GPU's.
ifdef TRAIN_ONLY
folders := base train train/ref $(if $(CUDA),train/cuda)
bare_base := arena buf clock err hash_bare io json json_write log mem opt \
             opt_print part progress str utf8
bare_tool := main commands cmd_train interrupt print train_data train_eval \
             train_print train_setup
# What reads shards, and with it libraries.
shard_src := $(addprefix train/,$(addsuffix .c, \
             balance balance_count balance_make classifier clean clean_chars \
             clean_garbled clean_refs dataset embedding encoder evalset evalset_labels \
             evalset_list evaluator evaluator_words loader loader_again \
             loader_pane loader_sample merge order picture pieces precision \
             retrieval source source_files source_spec texts tokenizer \
             vocabulary zeroshot zeroshot_cache))
bare_test := alarm batches checkpoint checkpoint_meta clip config events \
             golden_train median ops_forms ops_grad optim pairs published \
             record resize resnet rows run safetensors sha256 store towers \
             weights \
             weights_files $(if $(CUDA),ops_cuda golden_cuda)
endif

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
             $(pkg_cflags) $(openmp_cc) $(cuda_cc) $(cld2_cc) $(if $(MPI),-DWITMILL_MPI $(mpi_cc)) \
             $(if $(CUDA),-DWITMILL_CUDA=1) $(if $(TRAIN_ONLY),-DWITMILL_TRAIN_ONLY=1 -Itests/bare) $(CFLAGS)
CXXFLAGS_ALL = -std=c++17 $(filter-out -std=c11 -Wshadow -Wmissing-prototypes -Wstrict-prototypes,$(CFLAGS_ALL)) \
               -Wno-unknown-pragmas -Wno-unused-function -Wno-pass-failed
LDFLAGS_ALL = -pthread $(if $(SAN),-fsanitize=$(SAN)) $(LDFLAGS)

# Asked of pkg-config once per build, and loudly when one is missing.
need_libs := $(filter-out deps deps-dev format format-check clean help kernels train-only,$(or $(MAKECMDGOALS),all))
ifneq ($(if $(TRAIN_ONLY),,$(WITMILL_DEPS_DONE)$(filter-out demo check,$(need_libs))),)
pkg_cflags := $(shell pkg-config --cflags $(packages))
pkg_libs   := $(shell pkg-config --libs $(packages))
ifeq ($(pkg_libs),)
$(error pkg-config does not know one of: $(packages). Run `make deps` first)
endif
endif
# What ranks of a run on processors talk by; the test of it wants the library
# whether or not MPI=1 (tests/check_ranks.py).
ifneq ($(MPI)$(if $(TRAIN_ONLY)$(filter train-only,$(MAKECMDGOALS)),,asked),)
mpi_cc   := $(shell pkg-config --cflags ompi-c 2>/dev/null)
mpi_libs := $(shell pkg-config --libs ompi-c 2>/dev/null)
ifneq ($(MPI),)
$(if $(mpi_libs),,$(error MPI=1 needs the package libopenmpi-dev))
endif
endif
LIBS = $(if $(TRAIN_ONLY),,$(pkg_libs) -lgif -lbz2 -ldnnl $(openmp) $(cld2_libs)) $(cuda_libs) $(if $(MPI),$(mpi_libs)) -lm -ldl

# GCC's OpenMP runtime is the one oneDNN is linked with; clang brings its own.
openmp := -fopenmp

ifdef TRAIN_ONLY
lib_src   := $(bare_base:%=base/%.c) $(filter-out $(shard_src),$(foreach d,$(filter-out base,$(folders)),$(wildcard $d/*.c)))
tool_src  := $(bare_tool:%=tools/%.c)
test_src  := $(wildcard $(bare_test:%=tests/test_%.c))
else
lib_src   := $(filter-out base/hash_bare.c train/loader_bare.c train/evaluator_bare.c,$(foreach d,$(folders),$(wildcard $d/*.c)))
tool_src  := $(wildcard tools/*.c)
test_src  := $(wildcard tests/test_*.c)
test_libs := -lcmocka
endif
part_src  := $(wildcard tests/httpd_*.c)
help_src  := $(filter-out $(test_src) $(part_src) tests/mpi_ranks.c,$(wildcard tests/*.c))
fuzz_src  := $(wildcard tests/fuzz/fuzz_*.c)
sql_src   := $(wildcard catalog/*.sql)
ref_src   := $(filter-out train/ref/ref.c,$(wildcard train/ref/*.c))
kern_src  := $(if $(TRAIN_ONLY),,$(wildcard train/cpu/k_*.c))
isas      := base $(if $(filter x86_64,$(shell uname -m)),v3 v4)
# Kernels: by nvcc with CUDA=1.  The same sources are compiled once more by the
# host's compiler, for tests on the processor (tests/emulate).
CXX       := $(patsubst %gcc,%g++,$(patsubst %clang,%clang++,$(CC)))
# Telling languages is optional: the header says whether the library is there.
# What was decided stands in $B/cld2.mk, so that another decision compiles anew.
ifndef TRAIN_ONLY
cld2_h    := $(wildcard $(addsuffix /cld2/public/compact_lang_det.h,/usr/include /usr/local/include))
CLD2      ?= $(if $(cld2_h),$(if $(shell command -v $(CXX)),1))
cld2      := $(filter-out 0,$(CLD2))
cld2_libs := $(if $(cld2),-lcld2 -lstdc++)
ifneq ($(filter-out deps deps-dev format format-check clean help kernels train-only,$(or $(MAKECMDGOALS),all)),)
$(shell mkdir -p $B && { echo '# CLD2=$(cld2)' | cmp -s - $B/cld2.mk || echo '# CLD2=$(cld2)' >$B/cld2.mk; })
endif
endif
cuda_src  := $(wildcard train/cuda/*.cu)
emu_src   := $(wildcard train/cuda/*.c tests/emulate/*.cc) $(cuda_src)
emu_obj   := $(addprefix $B/emulated/,$(addsuffix .o,$(emu_src)))
lib_obj   := $(patsubst %.c,$B/%.o,$(filter-out $(kern_src),$(lib_src))) \
             $(ref_src:%.c=$B/%.f64.o) \
             $(foreach i,$(isas),$(kern_src:%.c=$B/%.$i.f32.o) $(kern_src:%.c=$B/%.$i.bf16.o))
lib_obj   += $(if $(CUDA),$(cuda_src:%.cu=$B/%.cu.o))
lib_obj   += $(if $(cld2),$B/filter/language_cld2.o)
tool_obj  := $(tool_src:%.c=$B/%.o)
tests_bin := $(test_src:tests/%.c=$B/%)
help_bin  := $(help_src:tests/%.c=$B/%)
fuzz_bin  := $(fuzz_src:tests/fuzz/%.c=$B/replay_%)

Q := $(if $(V),,@)

all: $B/witmill

$B/%.o: %.c
	$Qmkdir -p $(@D)
	$(if $(V),,@echo "  CC    $<";)$(CC) $(CFLAGS_ALL) -MMD -MP -c -o $@ $<

# The reference ops once more, in double.
$B/%.f64.o: %.c
	$Qmkdir -p $(@D)
	$(if $(V),,@echo "  CC    $< (double)";)$(CC) $(CFLAGS_ALL) -DREF_F64 -MMD -MP -c -o $@ $<

# The C++ file, where CLD2 is; its C side knows by a macro whether it is.
$B/filter/language_cld2.o: filter/language_cld2.cc $B/cld2.mk
	$Qmkdir -p $(@D)
	$(if $(V),,@echo "  CXX   $<";)$(CXX) $(CXXFLAGS_ALL) -MMD -MP -c -o $@ $<
$B/filter/language.o: $B/cld2.mk
$B/filter/language.o: cld2_cc := $(if $(cld2),-DWITMILL_CLD2=1)

# The CPU's kernels: an object for each instruction set and activation type
# (train/cpu/k.h).  Their results may differ from set to set, so here alone the
# compiler may contract and reorder what no test of equality sees.
isa_base :=
isa_v3   := -march=x86-64-v3
isa_v4   := -march=x86-64-v4 -mprefer-vector-width=512
# (Under a sanitizer clang cannot vectorise what `omp simd` asks it to.)
kern_flags = -O3 -fno-math-errno -fno-trapping-math -ffp-contract=fast -Wno-pass-failed $(openmp)
define kernel_rule
$B/train/cpu/k_%.$1.$2.o: train/cpu/k_%.c
	$$Qmkdir -p $$(@D)
	$$(if $$(V),,@echo "  CC    $$< ($1, $2)";)$$(CC) $$(CFLAGS_ALL) $$(kern_flags) $$(isa_$1) -DCPU_ISA=$1 $$(if $$(filter bf16,$2),-DCPU_ACT_BF16) -MMD -MP -c -o $$@ $$<
endef
$(foreach i,$(isas),$(foreach t,f32 bf16,$(eval $(call kernel_rule,$i,$t))))

$(patsubst %.c,$B/%.o,$(filter-out $(kern_src),$(wildcard train/cpu/*.c))): openmp_cc := $(openmp)

# Kernels for the GPUs of 2020 (A100) and 2022 (H100, H200); newer ones run the
# PTX of the last.  Where the toolkit is, tools/find_cuda.sh says.
CUDA_ARCH ?= 80 90a
ifdef CUDA
$(shell mkdir -p $B && { CUDA_HOME='$(CUDA_HOME)' tools/find_cuda.sh && echo 'CUDA_BUILT := $(CUDA_ARCH)'; } >$B/cuda.new && { cmp -s $B/cuda.new $B/cuda.mk || cp $B/cuda.new $B/cuda.mk; } || rm -f $B/cuda.mk)
include $B/cuda.mk
# Another toolkit, a cuDNN that came later, another GPU: all of it again.
$(patsubst %.c,$B/%.o,$(wildcard train/cuda/*.c)) $(patsubst %,$B/%.o,$(wildcard train/cuda/*.cu)): $B/cuda.mk
endif
cuda_arch := $(foreach a,$(CUDA_ARCH),-gencode arch=compute_$a$(comma)code=sm_$a) \
             $(foreach a,$(patsubst %a,%,$(lastword $(CUDA_ARCH))),-gencode arch=compute_$a$(comma)code=compute_$a)
nvcc_flags := -std=c++17 -O3 -lineinfo -I. $(cuda_arch) --Werror all-warnings -Xcompiler -Wall,-Wextra,-fPIC
$B/%.cu.o: %.cu
	$Qmkdir -p $(@D)
	$(if $(V),,@echo "  NVCC  $<";)$(CUDA_NVCC) $(nvcc_flags) -MMD -MP -MF $(@:.o=.d) -c -o $@ $<
cuda_libs := $(if $(CUDA),$(CUDA_LIBS) -lstdc++)
$(patsubst %.c,$B/%.o,$(wildcard train/cuda/*.c)): cuda_cc := $(CUDA_CFLAGS)

emulated := -Itests/emulate/include -DWITMILL_CUDNN=1
$B/emulated/%.c.o: %.c
	$Qmkdir -p $(@D)
	$(if $(V),,@echo "  CC    $< (emulated)";)$(CC) $(emulated) $(CFLAGS_ALL) -MMD -MP -c -o $@ $<
$B/emulated/%.o: %
	$Qmkdir -p $(@D)
	$(if $(V),,@echo "  CXX   $< (emulated)";)$(CXX) -x c++ $(emulated) $(CXXFLAGS_ALL) -MMD -MP -c -o $@ $<

$B/libwitmill.a: $(lib_obj)
	$Qrm -f $@
	$Qar rcs $@ $^

$B/witmill: $(tool_obj) $B/libwitmill.a
	$(if $(V),,@echo "  LINK  $@";)$(CC) $(CFLAGS_ALL) $(LDFLAGS_ALL) -o $@ $^ $(LIBS)

# The same of the training half.
$B/witmill-train: $(tool_obj) $B/libwitmill.a
	$(if $(V),,@echo "  LINK  $@";)$(CC) $(CFLAGS_ALL) $(LDFLAGS_ALL) -o $@ $^ $(LIBS)

train-only:
	$Q$(MAKE) --no-print-directory TRAIN_ONLY=1 train-only-all

train-only-all: $B/witmill-train $(tests_bin) $B/gpu_peak

# Commands without main(), for tests of what stands in tools/.
$B/libtools.a: $(filter-out $B/tools/main.o,$(tool_obj))
	$Qrm -f $@
	$Qar rcs $@ $^

# What base/embed.h puts into objects.
$(filter $B/catalog/%.o,$(lib_obj)): $(sql_src)
$B/tools/report.o: tools/report.css

$(tests_bin): $B/%: $B/tests/%.o $B/libtools.a $B/libwitmill.a
	$(if $(V),,@echo "  LINK  $@";)$(CC) $(CFLAGS_ALL) $(LDFLAGS_ALL) -o $@ $(filter %.o,$^) -Wl,--start-group $(filter %.a,$^) -Wl,--end-group $(test_libs) $(LIBS)

# Tests of train/cuda: on the GPU with CUDA=1, else emulated.
cuda_tests := $(filter %_cuda,$(tests_bin))
ifeq ($(CUDA),)
$(cuda_tests): $(emu_obj)
$(cuda_tests:$B/%=$B/tests/%.o): CFLAGS += -DWITMILL_EMULATED=1
$(cuda_tests): LIBS += -lstdc++
endif

# Counts what a step of training allocates.
$B/test_step_alloc: LDFLAGS_ALL += $(foreach f,malloc calloc realloc posix_memalign aligned_alloc,-Wl,--wrap=$f)

# Programs that tests start: the scripted server, dumpers, the fault shim's
# helpers. They may use the library.
$(help_bin): $B/%: $B/tests/%.o $B/libwitmill.a
	$(if $(V),,@echo "  LINK  $@";)$(CC) $(CFLAGS_ALL) $(LDFLAGS_ALL) -o $@ $(filter %.o,$^) $B/libwitmill.a $(LIBS)

$B/httpd: $(part_src:%.c=$B/%.o)
$(filter $B/test_fetch% $B/test_crawl% $B/test_download%,$(tests_bin)): | $B/httpd

# Run by mpirun.
$B/mpi_ranks: tests/mpi_ranks.c train/collective_mpi.c $B/libwitmill.a
	$(if $(V),,@echo "  LINK  $@";)$(CC) -DWITMILL_MPI $(mpi_cc) $(CFLAGS_ALL) $(LDFLAGS_ALL) -o $@ $^ -lcmocka $(mpi_libs) $(LIBS)
# The program as MPI=1 builds it, out of the objects of this build.
$B/mpi_witmill: train/collective.c train/collective_mpi.c $(tool_obj) $B/libwitmill.a
	$(if $(V),,@echo "  LINK  $@";)$(CC) -DWITMILL_MPI $(mpi_cc) $(CFLAGS_ALL) $(LDFLAGS_ALL) -o $@ $^ $(mpi_libs) $(LIBS)
tests: $(if $(mpi_libs),$B/mpi_ranks $B/mpi_witmill)

# A disk that fills up at the Nth write (LD_PRELOAD).
$B/faultfs.so: tests/shim/faultfs.c
	$Qmkdir -p $(@D)
	$Q$(CC) -std=gnu11 -D_GNU_SOURCE -O2 -Wall -Wextra -Werror -fPIC -shared -o $@ $< -ldl

# A fuzz target over files named on its command line, without libFuzzer.
$(fuzz_bin): $B/replay_%: $B/tests/fuzz/%.o $B/tests/fuzz/replay.o $B/libwitmill.a
	$(if $(V),,@echo "  LINK  $@";)$(CC) $(CFLAGS_ALL) $(LDFLAGS_ALL) -o $@ $(filter %.o,$^) $(filter %.a,$^) $(LIBS)

# Of what tools/ reads.
$B/replay_fuzz_against $B/fuzz_against: $B/tools/against.o

-include $(lib_obj:.o=.d) $(emu_obj:.o=.d) $(tool_obj:.o=.d) $(tests_bin:$B/%=$B/tests/%.d) $(help_bin:$B/%=$B/tests/%.d) $(part_src:%.c=$B/%.d) $(fuzz_src:%.c=$B/%.d)

# ---- tests ----

tests: $B/witmill $(tests_bin) $(help_bin) $(fuzz_bin) $B/faultfs.so build/kernels/report.txt

# deps and the build come first, so that each of these is the only command that
# a fresh machine needs.
check: deps
	$Q$(MAKE) --no-print-directory WITMILL_DEPS_DONE=1 check-static tests
	$Qtests/run.py $B

check-long: deps
	$Q$(MAKE) --no-print-directory WITMILL_DEPS_DONE=1 check-static tests
	$Qtests/run.py $B --long
	$Q$(MAKE) --no-print-directory WITMILL_DEPS_DONE=1 SAN=address,undefined tests
	$Qtests/run.py build/$(notdir $(CC))-address+undefined
	$Q$(MAKE) --no-print-directory WITMILL_DEPS_DONE=1 SAN=thread tests
	$Qtests/run.py build/$(notdir $(CC))-thread --only test_

check-static: check-layers check-headers check-sizes check-docs

check-layers:
	$Qtools/check_layers.py

# Every header compiles alone, and included twice.
headers := $(wildcard $(addsuffix /*.h,$(folders) tools tests tests/bare tests/emulate train/cuda))
check-headers: $(headers:%=$B/%.ok)
	$Qecho "headers: $(words $(headers)) compile alone and twice"

$B/train/cuda/%.h.ok $B/tests/emulate/%.h.ok: CFLAGS_ALL += -Itests/emulate/include
$B/%.h.ok: %.h
	$Qmkdir -p $(@D)
	$Qprintf '#include "%s"\n#include "%s"\n' $< $< | $(CC) $(CFLAGS_ALL) $(openmp) -Wno-unused-function -x c -fsyntax-only -
	$Qtouch $@

check-sizes:
	$Qtools/check_sizes.py

# Without nvcc it says so and is content.
kernels:
	$Qtools/kernel_report.py --nvcc $(CUDA_HOME)/bin/nvcc || [ $$? = 77 ]

# The same with the build, since it takes a minute where all is new; judged by
# tests/check_kernels.py, which finds it all compiled.
build/kernels/report.txt: $(cuda_src) $(wildcard train/cuda/*.cuh train/cuda/*.h train/*.h base/*.h) tools/kernel_report.py
	$Qmkdir -p $(@D)
	$(if $(V),,@echo "  NVCC  kernels, for their report";)tools/kernel_report.py --nvcc $(CUDA_HOME)/bin/nvcc > $@ || true

check-docs: $B/witmill
	$Qtools/gen_docs.sh $B/witmill --check

# ---- fuzzing: FUZZ_SECONDS for each target, or one with FUZZ=name ----

FUZZ_SECONDS ?= 60
fuzz_san     := address,undefined,fuzzer-no-link
fuzz_dir     := build/clang-$(subst $(comma),+,$(fuzz_san))
fuzz_names   := $(if $(FUZZ),$(FUZZ),$(fuzz_src:tests/fuzz/fuzz_%.c=%))

fuzz: deps
	$Q$(MAKE) --no-print-directory WITMILL_DEPS_DONE=1 CC=clang SAN=$(fuzz_san) $(fuzz_names:%=$(fuzz_dir)/fuzz_%)
	$Qfor name in $(fuzz_names); do \
	    echo "== $$name"; mkdir -p build/fuzz/$$name; \
	    $(fuzz_dir)/fuzz_$$name -max_total_time=$(FUZZ_SECONDS) -rss_limit_mb=4096 -print_final_stats=1 \
	        -artifact_prefix=build/fuzz/ \
	        build/fuzz/$$name tests/fuzz/corpus/$$name || exit 1; \
	done

$B/fuzz_%: $B/tests/fuzz/fuzz_%.o $B/libwitmill.a
	$(if $(V),,@echo "  LINK  $@";)$(CC) $(CFLAGS_ALL) -fsanitize=fuzzer,address,undefined -o $@ $(filter %.o,$^) $(filter %.a,$^) $(LIBS)

# ---- the demo, measurements ----

demo: deps
	$Q$(MAKE) --no-print-directory WITMILL_DEPS_DONE=1 $B/witmill $B/httpd
	$Qtools/demo.sh $B

# BENCH=NAME for one part of it.  (What the list costs at the size of Wikipedia,
# `bench_counts size FOLDER`, takes minutes and 8 GB of disk: by hand.)
bench_parts := text views dump wikitext counts queries rules match match-disk \
               scale balance dedup costs products train tokenizer picture loader
bench_programs := witmill jsonl_cat bench_products train_bench \
                  tokenize_records bench_picture loader_bench wikitext_dump \
                  bench_counts bench_dump bench_rules stream_cat make_records \
                  bench_records bench_dedup bench_draws bench_match \
                  bench_words make_ledgers make_photos httpd
bench-text = tools/bench.py $B
bench-views = tools/bench_views.py $B
bench-dump = tools/bench_dump.py $B
bench-wikitext = tools/compare_wikitext.py $B
bench-counts = $B/bench_counts
bench-queries = tools/bench_queries.py $B
bench-rules = $B/bench_rules $${WITMILL_SHARED:-../shared}/data/alt-text/laion400m-url-text.tsv.gz
bench-balance = tools/bench_balance.py $B
bench-products = $B/bench_products
bench-train = tools/bench_train.py $B
bench-tokenizer = tools/bench_tokenizer.py $B
bench-picture = tools/bench_picture.py $B
bench-loader = tools/bench_loader.py $B
bench-scale = tools/bench_scale.py $B
bench-match-disk = tools/bench_match_disk.py $B
bench-dedup = tools/bench_dedup.py $B
bench-costs = tools/bench_costs.py $B
bench-match = tools/bench_match.py $B

bench: deps
	$(if $(filter-out $(bench_parts),$(BENCH)),$(error BENCH is one of: $(bench_parts)))
	$Q$(MAKE) --no-print-directory WITMILL_DEPS_DONE=1 $(addprefix $B/,$(bench_programs))
	$Qset -e; $(foreach p,$(or $(BENCH),$(bench_parts)),$(bench-$p);)

# ---- packages, installation, upkeep ----

deps:
	$Qtools/deps.sh deps

deps-dev:
	$Qtools/deps.sh deps-dev

install: $B/witmill
	install -D -m 755 $B/witmill $(DESTDIR)$(PREFIX)/bin/witmill
	install -D -m 644 tools/completion.bash $(DESTDIR)$(PREFIX)/share/bash-completion/completions/witmill
	install -d $(DESTDIR)$(PREFIX)/share/doc/witmill
	install -m 644 README.md LICENSE docs/*.md $(DESTDIR)$(PREFIX)/share/doc/witmill/

docs: $B/witmill
	$Qtools/gen_docs.sh $B/witmill

sources := $(wildcard $(addsuffix /*.[ch],$(folders) tools tests tests/fuzz))
format:
	clang-format -i $(sources)

format-check:
	$Qgit diff -U0 --no-color HEAD -- '*.c' '*.h' | clang-format-diff-14 -p1 | tee /dev/stderr | (! grep -q .)

clean:
	rm -rf build

.PHONY: all tests check check-long kernels train-only train-only-all check-static check-layers check-headers check-sizes check-docs fuzz demo bench deps deps-dev install docs format format-check clean
# Objects of tests are kept; a bare .SECONDARY would also keep make from ever
# building a missing one.
.PRECIOUS: $B/%.o
