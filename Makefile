# What can be made here. `make help` lists it.
#
# The release binary is built by this file and not by a bare `cargo build --release`, because three things
# are decided here: which static target this machine can link, which path names are cut from the binary
# (so that two builds in two folders are the same, bit by bit), and how it is linked.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
MAKEFLAGS += --no-builtin-rules

CARGO ?= cargo
OUT := $(abspath $(or $(CARGO_TARGET_DIR),target))
SEEDS ?= 100000
IMAGE ?= tinysvc

# musl where the target is installed or can be added, else the C library of this machine, linked statically.
# Looked up once, and only by the targets that link.
TRIPLE = $(eval TRIPLE := $(shell $(FIND_TRIPLE)))$(TRIPLE)
define FIND_TRIPLE
host=$$(rustc -vV | sed -n 's/^host: //p'); musl=$${host%%-*}-unknown-linux-musl; \
have() { test -d "$$(rustc --print sysroot)/lib/rustlib/$$musl/lib"; }; \
have || rustup target add $$musl >&2 || true; \
if have; then echo $$musl; else echo $$host; fi
endef

# The standard library that comes ready-made carries a printer of backtraces which no linker can leave out: 170 kB that
# a binary without unwinding never runs. Where the library's source can be had it is compiled without, by the same compiler,
# which must be told that this is meant (RUSTC_BOOTSTRAP); else the ready-made one is taken and the
# binary is larger.
define SLIM_STD
sysroot=$$(rustc --print sysroot); source=$$sysroot/lib/rustlib/src/rust; std=(); \
case $(TRIPLE) in *musl) \
	test -d "$$source/library" || rustup component add rust-src >&2 || true; \
	if test -d "$$source/library"; then \
		std=(-Zbuild-std=std,panic_abort -Zbuild-std-features=optimize_for_size); export RUSTC_BOOTSTRAP=1; \
		flags+=("--remap-path-prefix=$$source=/rust"); \
	fi;; esac
endef

# How the static binary is compiled and linked. The folder names are replaced by words, so that a build
# depends neither on where the sources lie nor on whose home the crates are in.
define RELEASE
registry() { ls -d "$${CARGO_HOME:-$$HOME/.cargo}"/registry/src/*/ 2>/dev/null || true; }; \
flags=(-C target-feature=+crt-static $(LINK)); \
flags+=("--remap-path-prefix=$(CURDIR)=/tinysvc" "--remap-path-prefix=$(OUT)=/target"); \
$(CARGO) fetch --locked --quiet --target $(TRIPLE) || true; \
while read -r dir; do [ -z "$$dir" ] || flags+=("--remap-path-prefix=$${dir%/}=/crates"); done < <(registry); \
$(SLIM_STD); \
flags=$$(IFS=$$'\x1f'; echo "$${flags[*]}"); \
unset RUSTFLAGS CARGO_BUILD_RUSTFLAGS; \
CARGO_ENCODED_RUSTFLAGS="$$flags" CARGO_TARGET_DIR="$(OUT)" \
	$(CARGO) build --locked --release --target $(TRIPLE) $${std[@]+"$${std[@]}"}
endef
# No build id, which is a hash of what is there already; code and constants share their pages, which saves one fault in
# ten at start; relocations take bits and not entries (40 kB less); no unwind tables, since nothing unwinds (110 kB less). The
# binary stays position-independent and RELRO: 5 us more than without, and worth it.
LINK = -C link-arg=-Wl,--build-id=none -C link-arg=-Wl,-z,noseparate-code $(if $(findstring musl,$(TRIPLE)),$(LINK_MUSL))
# A variable of its own: commas in the words of $(if) would part them.
LINK_MUSL := -C link-arg=-Wl,-z,pack-relative-relocs -C link-arg=-Wl,--no-eh-frame-hdr -C link-arg=-Wl,-T,src/release.ld

.PHONY: help
help: ## this list
	@echo 'usage: make TARGET [NAME=VALUE]...'; echo
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  \1\t\2/p' Makefile | expand -t 24
	@echo; echo 'CARGO_TARGET_DIR moves everything that is built (here: $(OUT)).'

.PHONY: build
build: ## the static release binary, left at target/tinysvc
	@$(RELEASE) --bin tinysvc
	@install -m 755 "$(OUT)/$(TRIPLE)/release/tinysvc" "$(OUT)/tinysvc"
	@file=$$(LC_ALL=C ldd "$(OUT)/tinysvc" 2>&1 || true); \
	case $$file in *'statically linked'*|*'not a dynamic executable'*) ;; *) echo "not static: $$file"; exit 1;; esac; \
	case $(TRIPLE) in *musl) libc='musl';; *) libc='glibc, crt-static (there is no musl target here)';; esac; \
	echo "$(OUT)/tinysvc: static, $$libc, $$(stat -c %s "$(OUT)/tinysvc") bytes"

.PHONY: demo
demo: ## the demo application, static, left at target/demo
	@$(RELEASE) --example demo
	@install -m 755 "$(OUT)/$(TRIPLE)/release/examples/demo" "$(OUT)/demo"

.PHONY: smoke
smoke: build demo ## show the main job: in a container if Docker answers, else in a PID namespace
	@OUT="$(OUT)" bash integration/smoke.sh

.PHONY: test
test: build demo ## every test; what needs root, Docker or a peer says so when it is skipped
	$(CARGO) test --locked --no-fail-fast

.PHONY: check
check: ## what CI runs: format, lints, tests
	$(CARGO) fmt --check
	$(CARGO) clippy --locked --all-targets -- -D warnings
	@$(MAKE) --no-print-directory test

# Which cases, and under whom: all read by the test itself.
export CONFORMANCE CONFORMANCE_DRIVER CONFORMANCE_CLASS CONFORMANCE_JOBS CONFORMANCE_KEEP

.PHONY: conformance
conformance: ## what systemd did, played by tinysvc (CONFORMANCE='restart types/notify*' selects)
	$(CARGO) test --locked --test comparer --test conformance

# The image of the recordings: a Debian 13 with systemd 257 that is made here, in half a minute.
.PHONY: conformance-image
conformance-image: ## a Docker image with a real systemd 257, made with debootstrap
	@docker image inspect sysd:257 >/dev/null 2>&1 || { folder=$$(mktemp -d) && trap 'rm -rf "$$folder"' EXIT && \
	debootstrap --variant=minbase --include=systemd,systemd-sysv,dbus,procps trixie "$$folder/root" >&2 && \
	tar -C "$$folder/root" -c . | docker import - sysd:257; }

.PHONY: conformance-oracle
conformance-oracle: conformance-image ## the same cases under a real systemd, as a check of the recordings
	CONFORMANCE_DRIVER=systemd-docker CONFORMANCE_CLASS=$(or $(CONFORMANCE_CLASS),all) \
		$(CARGO) test --locked --test conformance

.PHONY: conformance-record
conformance-record: conformance-image ## record cases anew under a real systemd (CONFORMANCE=area/name...)
	@test -n "$(CONFORMANCE)" || { echo 'say which: make conformance-record CONFORMANCE="area/name..."'; exit 1; }
	python3 integration/conformance/oracle.py record $(CONFORMANCE)

.PHONY: simulate
simulate: ## the engine against a pretend kernel, SEEDS=N worlds (SEEDS=100000)
	TINYSVC_SEEDS=$(SEEDS) $(CARGO) test --locked --release --test simulation -- --nocapture

.PHONY: bench
bench: build demo ## beside tini, dumb-init, catatonit, nginx in one run (BENCH=start,idle,... selects)
	OUT="$(OUT)" $(CARGO) bench --locked --bench peers

.PHONY: image
image: build demo ## container images: tinysvc alone, and the demo under it (IMAGE=tinysvc)
	docker build -q -t $(IMAGE) -f docker/Dockerfile.scratch --build-arg BINARY=tinysvc "$(OUT)"
	docker build -q -t $(IMAGE)-demo -f docker/Dockerfile.demo "$(OUT)"

.PHONY: reproducible
reproducible: ## build twice, in two folders, and compare bit by bit
	@bash integration/reproducible.sh

.PHONY: size
size: build ## what is in the release binary, by section
	@size -A -d "$(OUT)/tinysvc"
	@stat -c '%n: %s bytes, at most 850000' "$(OUT)/tinysvc"; test $$(stat -c %s "$(OUT)/tinysvc") -le 850000

.PHONY: clean
clean: ## remove what was built
	$(CARGO) clean
	rm -f "$(OUT)/tinysvc" "$(OUT)/demo"
