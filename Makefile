# Prism. `make help` lists what there is. Variants live beside each other: make VARIANT=asan builds into build/asan.
SHELL := /bin/bash
.DELETE_ON_ERROR:
MAKEFLAGS += --no-builtin-rules
.DEFAULT_GOAL := build

VERSION := 0.1.0
VARIANT ?= release
ROOT    := build
B       := $(if $(filter release,$(VARIANT)),$(ROOT),$(ROOT)/$(VARIANT))
GEN     := $(ROOT)/gen

PKGS    := libuv libnghttp2 openssl sqlite3 libpq yaml-0.1 zlib
CC_release := gcc
CC_asan    := clang
CC_tsan    := clang
CC_fuzz    := clang
CC_clang   := clang
CC_cov     := gcc
OPT_release := -O2 -D_FORTIFY_SOURCE=2
OPT_clang   := -O2
OPT_asan    := -O1 -fno-omit-frame-pointer -fsanitize=address,undefined -fno-sanitize-recover=undefined
OPT_tsan    := -O1 -fno-omit-frame-pointer -fsanitize=thread
OPT_fuzz    := -O1 -fno-omit-frame-pointer -fsanitize=address,undefined,fuzzer-no-link -fno-sanitize-recover=undefined
OPT_cov     := -O0 --coverage -Wno-maybe-uninitialized
CC      := $(CC_$(VARIANT))
CFLAGS  := -std=gnu17 -g $(OPT_$(VARIANT)) -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla \
           -Wpointer-arith -Wwrite-strings -Werror -fvisibility=hidden -fstack-protector-strong -pthread \
           -D_GNU_SOURCE -DPRISM_VERSION='"$(VERSION)"'
CPPFLAGS := -Isrc -I$(GEN) -Iinclude $(shell pkg-config --cflags $(PKGS) 2>/dev/null)
LDFLAGS := $(OPT_$(VARIANT)) -pthread -Wl,-z,relro,-z,now
LDLIBS  := $(shell pkg-config --libs $(PKGS) 2>/dev/null) -lhttp_parser -lm

# --- protobuf: the compiler plug-in is made from base and pb alone, then makes the code of everything else -----------------
PROTOS    := $(shell find proto -name '*.proto' | sort)
# Google's well-known types come from Debian's libprotobuf-dev. Those that the plug-in itself is built with (src/pb/bootstrap)
# get only a header.
WELL_KNOWN := $(addprefix google/protobuf/,any.proto descriptor.proto duration.proto empty.proto field_mask.proto struct.proto \
              timestamp.proto wrappers.proto)
PROTO_NAMES := $(WELL_KNOWN) $(PROTOS:proto/%=%)
BOOTSTRAP := google/protobuf/descriptor.proto google/protobuf/compiler/plugin.proto prism/options.proto
PROTOC    := protoc -Iproto -Icodegen -I/usr/include --plugin=protoc-gen-prism=$(ROOT)/protoc-gen-prism
GEN_C     := $(patsubst %.proto,$(GEN)/%.pb.c,$(filter-out $(BOOTSTRAP),$(PROTO_NAMES))) $(GEN)/files.pb.c $(GEN)/interfaces.c
GEN_STAMP := $(GEN)/.stamp
CORE_SRC  := $(wildcard src/base/*.c) $(wildcard src/pb/*.c) $(wildcard src/pb/bootstrap/*.c)
PLUGIN_SRC := $(wildcard codegen/*.c)
CORE_OBJ  := $(CORE_SRC:%.c=$(ROOT)/obj/%.o)
PLUGIN    := $(ROOT)/protoc-gen-prism

# --- Kafka's messages: structs and tables from src/kafka/spec ----------------------------------------------------------------
KAFKA_SPECS  := $(sort $(wildcard src/kafka/spec/*.spec))
KAFKA_TABLES := $(ROOT)/kafka-tables
KAFKA_GEN    := $(ROOT)/gen-kafka
KAFKA_STAMP  := $(KAFKA_GEN)/.stamp
CPPFLAGS     += -I$(KAFKA_GEN)

LIB_SRC := $(filter-out src/cmd/%,$(shell find src -name '*.c' | sort))
LIB_OBJ := $(LIB_SRC:%.c=$(B)/obj/%.o) $(patsubst $(GEN)/%.c,$(B)/obj/gen/%.o,$(GEN_C)) $(B)/obj/gen-kafka/kafka/messages.o
LIB     := $(B)/libprism.a
# One program a folder src/cmd/<name>/, or a file src/cmd/<name>.c; underscores become hyphens in its name.
CMD_NAMES := $(sort $(patsubst src/cmd/%.c,%,$(wildcard src/cmd/*.c)) $(patsubst src/cmd/%/,%,$(filter-out src/cmd/,$(dir $(wildcard src/cmd/*/*.c)))))
BINS    := $(foreach n,$(CMD_NAMES),$(B)/$(subst _,-,$n))

.PHONY: build help generate clean
build: $(PLUGIN) $(LIB) $(BINS)

help: ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | sort | column -t -s$$'\t'

generate: $(GEN_STAMP) $(KAFKA_STAMP) ## code from proto/ and src/kafka/spec

define host_object
$(ROOT)/obj/$1/%.o: $1/%.c | $(ROOT)/.tree
	@mkdir -p $$(@D)
	$(CC_release) $(CPPFLAGS) $(filter-out $(OPT_$(VARIANT)),$(CFLAGS)) $(OPT_release) -MMD -MP -c $$< -o $$@
endef
$(foreach d,codegen tooling,$(eval $(call host_object,$d)))

ifneq ($(VARIANT),release)
$(ROOT)/obj/src/%.o: src/%.c | $(ROOT)/.tree
	@mkdir -p $(@D)
	$(CC_release) $(CPPFLAGS) $(filter-out $(OPT_$(VARIANT)),$(CFLAGS)) $(OPT_release) -MMD -MP -c $< -o $@
endif

$(PLUGIN): $(CORE_OBJ) $(PLUGIN_SRC:%.c=$(ROOT)/obj/%.o)
	$(CC_release) -pthread $^ -o $@ -lm

$(GEN_STAMP): $(PLUGIN) $(PROTOS) codegen/refresh
	@rm -rf $(GEN).new && mkdir -p $(GEN).new
	$(PROTOC) --prism_out=$(GEN).new $(PROTO_NAMES)
	@codegen/refresh $(GEN).new $(GEN)
	@touch $@

# Files that came out as they were keep their time, and nothing that uses them is made again.
$(GEN_C): $(GEN_STAMP) ;
$(GEN)/%.h: $(GEN_STAMP) ;

$(KAFKA_TABLES): $(patsubst %.c,$(ROOT)/obj/%.o,$(wildcard codegen/kafka/*.c) $(wildcard src/base/*.c))
	$(CC_release) -pthread $^ -o $@ -lm

$(KAFKA_STAMP): $(KAFKA_TABLES) $(KAFKA_SPECS) codegen/refresh
	@rm -rf $(KAFKA_GEN).new && mkdir -p $(KAFKA_GEN).new/kafka
	$(KAFKA_TABLES) $(KAFKA_GEN).new/kafka $(KAFKA_SPECS)
	@codegen/refresh $(KAFKA_GEN).new $(KAFKA_GEN)
	@touch $@
$(KAFKA_GEN)/kafka/messages.c $(KAFKA_GEN)/kafka/messages.h: $(KAFKA_STAMP) ;
$(B)/obj/gen-kafka/%.o: $(KAFKA_GEN)/%.c | $(ROOT)/.tree $(KAFKA_STAMP)
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c $< -o $@

.PHONY: bootstrap
bootstrap: $(PLUGIN) ## regenerates the plug-in's own tables, src/pb/bootstrap/
	$(PROTOC) --prism_out=src/pb/bootstrap --prism_opt=bootstrap $(BOOTSTRAP)

$(B)/obj/gen/%.o: $(GEN)/%.c | $(ROOT)/.tree $(GEN_STAMP)
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c $< -o $@

# base and pb do not see generated code; all else waits for it.
$(B)/obj/%.o: %.c | $(ROOT)/.tree
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c $< -o $@
$(filter-out $(CORE_SRC:%.c=$(B)/obj/%.o),$(LIB_SRC:%.c=$(B)/obj/%.o)): | $(GEN_STAMP) $(KAFKA_STAMP)

$(LIB): $(LIB_OBJ)
	@rm -f $@
	ar rcs $@ $^

define program
$(B)/$(subst _,-,$1): $(patsubst %.c,$(B)/obj/%.o,$(wildcard src/cmd/$1.c) $(wildcard src/cmd/$1/*.c)) $(LIB)
	$$(CC) $$(LDFLAGS) $$^ -o $$@ $$(LDLIBS)
$(patsubst %.c,$(B)/obj/%.o,$(wildcard src/cmd/$1.c) $(wildcard src/cmd/$1/*.c)): | $(GEN_STAMP) $(KAFKA_STAMP)
endef
$(foreach n,$(CMD_NAMES),$(eval $(call program,$n)))

$(ROOT)/.tree:
	@mkdir -p $(B) && touch $@

# --- tests: each tests/unit/<area>/test_<x>.c is a program of its own; nothing to register ---------------------------------
UNIT_SRC := $(shell find tests/unit -name 'test_*.c' | sort)
UNIT_BIN := $(UNIT_SRC:tests/unit/%.c=$(B)/unit/%)
# Whatever lies outside src/ may include generated headers: these are made first.
OUTER_SRC := $(shell find tests bench tooling -name '*.c')
$(sort $(OUTER_SRC:%.c=$(B)/obj/%.o) $(OUTER_SRC:%.c=$(ROOT)/obj/%.o)): | $(GEN_STAMP) $(KAFKA_STAMP)
# What several of them share: all other files of tests/unit; those in a driver's folder are for its tests alone.
DRIVER_AID_SRC := $(foreach f,$(wildcard tests/unit/drivers/*/*.c),$(if $(filter test_%,$(notdir $f)),,$f))
$(foreach f,$(DRIVER_AID_SRC),$(eval $(filter $(B)/unit/$(patsubst tests/unit/%,%,$(dir $f))%,$(UNIT_BIN)): $(f:%.c=$(B)/obj/%.o)))
UNIT_AID_SRC := $(filter-out tests/unit/harness.c $(DRIVER_AID_SRC),$(shell find tests/unit -name '*.c' ! -name 'test_*' | sort)) \
                $(wildcard tests/proof/linear*.c) tests/proof/snapshot.c tests/proof/stream.c
UNIT_AID := $(B)/libunit.a
$(UNIT_AID): $(UNIT_AID_SRC:%.c=$(B)/obj/%.o)
	@rm -f $@
	ar rcs $@ $^
$(B)/unit/%: $(B)/obj/tests/unit/%.o $(B)/obj/tests/unit/harness.o $(UNIT_AID) $(LIB)
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS) $(filter %.o,$^) $(filter %.a,$^) -o $@ $(LDLIBS)
# AREAS="base pb": only those folders of tests/unit; SKIP="pb/test_json": without these.
UNIT_RUN := $(filter-out $(SKIP:%=$(B)/unit/%),$(if $(AREAS),$(filter $(AREAS:%=$(B)/unit/%/%),$(UNIT_BIN)),$(UNIT_BIN)))
.PHONY: unit
unit: $(UNIT_RUN) ## unit tests of this VARIANT; AREAS="base pb": of these folders
	@tests/unit/run $(UNIT_RUN)

# C halves of tests that are written in other languages: tests/conform/<x>.c.
$(B)/conform/%: $(B)/obj/tests/conform/%.o $(LIB)
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS) $(filter %.o,$^) $(filter %.a,$^) -o $@ $(LDLIBS)
$(B)/conform/kafka_random: $(B)/obj/tests/unit/kafka/random.o

.PHONY: everything
everything: build $(UNIT_BIN) ## programs, library and unit tests of this VARIANT, none of them run

# Programs that hold the running gateway to its promises: tests/proof/<x>.c; what they share: tests/proof/<x>.h with <x>.c.
PROOF_AID := $(patsubst %.h,%,$(wildcard tests/proof/*.h)) tests/proof/linear_shrink
$(B)/proof/%: $(B)/obj/tests/proof/%.o $(PROOF_AID:%=$(B)/obj/%.o) $(LIB)
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS) $^ -o $@ $(LDLIBS)
PROOF_SRC := $(filter-out $(PROOF_AID:%=%.c),$(wildcard tests/proof/*.c))
.PHONY: proof
proof: build $(PROOF_SRC:tests/%.c=$(B)/%) $(B)/unit/drivers/memory/test_model $(B)/unit/drivers/sqlite/test_model ## long forms of tests/proof, written to docs/PROOF.md; PART=soak, PART=missing: those; PROOF_SCALE=0.1: a tenth
	@PART="$(PART)" tests/proof/page.py

.PHONY: proof-streamer
proof-streamer: build $(B)/proof/stream_verdict ## the same of MemoryStreamer, written to docs/PROOF-memorystreamer.md
	@PART="$(PART)" tests/proof/page.py --product streamer

# The simulator: production code on the twin, one seed a run.
SIM := $(B)/sim/main
$(SIM): $(patsubst %.c,$(B)/obj/%.o,$(wildcard tests/sim/*.c) tests/proof/stream.c) $(LIB)
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS) $^ -o $@ $(LDLIBS)
$(patsubst %.c,$(B)/obj/%.o,$(wildcard tests/sim/*.c)): CPPFLAGS += -I.
# The same of the whole broker; its planted faults are put in by the linker.
SIM_BROKER := $(B)/sim/broker_main
SIM_WRAPPED := journal_open producers_check producers_learn
$(SIM_BROKER): $(patsubst %.c,$(B)/obj/%.o,$(wildcard tests/sim/broker/*.c) tests/proof/stream.c) $(LIB)
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS) $(SIM_WRAPPED:%=-Wl,--wrap=%) $^ -o $@ $(LDLIBS)
$(patsubst %.c,$(B)/obj/%.o,$(wildcard tests/sim/broker/*.c)): CPPFLAGS += -I.
.PHONY: sim
sim: $(SIM) $(SIM_BROKER) ## the simulator: 1,000 seeds, or SEED=42 (SEED=broker-42: of the whole broker) with its trace; SEEDS=, FROM=
	@$(if $(filter broker-%,$(SEED)),$(SIM_BROKER),$(SIM)) $(if $(SEED),--seed $(SEED:broker-%=%),--seeds $(or $(SEEDS),1000) --from $(or $(FROM),1))

# Each tests/fuzz/fuzz_<x>.c is a libFuzzer program; tests/fuzz/run builds and runs them.
ifeq ($(VARIANT),fuzz)
FUZZ_BIN := $(patsubst tests/fuzz/%.c,$(B)/%,$(wildcard tests/fuzz/fuzz_*.c))
$(B)/fuzz_%: $(B)/obj/tests/fuzz/fuzz_%.o $(LIB)
	$(CC) $(LDFLAGS) -fsanitize=fuzzer $(filter %.o,$^) $(filter %.a,$^) -o $@ $(LDLIBS)
$(B)/fuzz_journal_segment $(B)/fuzz_journal_wal: $(B)/obj/tests/unit/journal/world.o $(B)/obj/tests/fuzz/checks.o
.PHONY: fuzzers
fuzzers: $(FUZZ_BIN)
endif

# --- measurements: bench/<x>.c is a program --------------------------------------------------------------------------------
$(B)/bench/%: $(B)/obj/bench/%.o $(LIB)
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS) $^ -o $@ $(LDLIBS)
$(B)/bench/gateway/raw_client: $(B)/obj/bench/gateway/raw_h2.o
.PHONY: bench-pb bench-memory bench-kafka
bench-pb: $(B)/bench/pb ## nanoseconds a message of the protobuf runtime
	@$<
bench-kafka: $(B)/bench/kafka ## nanoseconds a message of Kafka's wire format, GB/s of CRC32C
	@$<
bench-memory: $(B)/bench/memory ## nanoseconds an operation of the memory driver
	@$<

.PHONY: bench
bench: build $(B)/bench/gateway/bare_http2 $(B)/bench/gateway/raw_client ## the gateway beside a bare HTTP/2 server: writes docs/benchmarks.md
	@bench/gateway/run

$(B)/bench/backends/direct_%: $(B)/obj/bench/backends/direct_%.o $(B)/obj/bench/backends/direct.o $(LIB)
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS) $^ -o $@ $(LDLIBS) $(DIRECT_LIBS)
$(B)/bench/backends/direct_redis: DIRECT_LIBS := -lhiredis
$(B)/bench/backends/direct_postgres: DIRECT_LIBS := -lpq
$(B)/obj/bench/backends/direct_postgres.o: CPPFLAGS += $(shell pkg-config --cflags libpq 2>/dev/null)
.PHONY: bench-backends
bench-backends: build $(B)/bench/gateway/raw_client $(B)/bench/backends/direct_redis $(B)/bench/backends/direct_postgres ## through Prism beside directly: writes docs/benchmarks-backends.md
	@bench/backends/run

$(B)/bench/streamer/generator: $(patsubst %.c,$(B)/obj/%.o,$(filter-out %/rdkafka_client.c,$(wildcard bench/streamer/*.c))) $(LIB)
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS) $^ -o $@ $(LDLIBS)
$(B)/bench/streamer/rdkafka_client: $(B)/obj/bench/streamer/rdkafka_client.o $(B)/obj/bench/streamer/measure.o $(LIB)
	@mkdir -p $(@D)
	$(CC) $(LDFLAGS) $^ -o $@ $(LDLIBS) -lrdkafka
.PHONY: bench-streamer
bench-streamer: build $(B)/bench/streamer/generator $(B)/bench/streamer/rdkafka_client ## MemoryStreamer beside other logs: writes docs/benchmarks-streamer.md
	@bench/streamer/run

.PHONY: bench-sqlite
bench-sqlite: $(B)/bench/sqlite ## group commit against a transaction a call, readers against the calling thread
	@$<

# --- documents that are made from tables ------------------------------------------------------------------------------------
DOCS ?= docs/reference
PAGES := $(patsubst tooling/%_page.c,%,$(wildcard tooling/*_page.c))
$(ROOT)/tool/%: $(ROOT)/obj/tooling/%.o $(ROOT)/libprism.a
	@mkdir -p $(@D)
	$(CC_release) -pthread $^ -o $@ $(LDLIBS)
.PHONY: docs
docs: $(PLUGIN) $(PAGES:%=$(ROOT)/tool/%_page) ## generated pages of docs/reference; DOCS= a folder below this one
	@mkdir -p $(DOCS)
	$(PROTOC) --prism_out=. --prism_opt=docs=$(DOCS) $(PROTOS:proto/%=%)
	for page in $(PAGES); do $(ROOT)/tool/$${page}_page > $(DOCS)/$$page.md || exit; done

# --- for people and for CI --------------------------------------------------------------------------------------------------
.PHONY: print-flags
print-flags: # for tools that compile on their own
	@echo $(CPPFLAGS) $(CFLAGS)
.PHONY: run setup format quick layers check test
run: ## installs what is missing, builds, starts the proxy, loads the demo; DATA_DIR= keeps data elsewhere
	@tooling/run $(DATA_DIR)
setup: ## installs what is missing of tooling/packages
	@tooling/setup
format: ## lays out the C files that differ from main
	@tooling/format
quick: ## layers and layout of changed files: seconds
	@.ci/quick
layers: ## who may include whom
	@tests/layers/run
check: build unit quick ## the inner loop: build, unit tests, quick checks; under a minute
test: ## everything that CI runs; under 20 minutes on 2 cores
	@tooling/setup
	@tooling/test

clean: ## removes build/
	rm -rf $(ROOT)

-include $(shell find $(ROOT) -name '*.d' 2>/dev/null)
