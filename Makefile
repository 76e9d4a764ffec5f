# SPDX-License-Identifier: BSD-3-Clause
# Every task of the project; `make help` lists them. What is up to date, cargo knows.

# Where the image's core comes from: rustup-src, debian-src or precompiled; empty takes the first that can be had.
export CORE ?=
# The toolchain is as rust-toolchain.toml says, or the build stops: nothing is installed in passing.
export RUSTUP_AUTO_INSTALL := 0

IMAGE := scripts/target-cargo.sh image build/image
LIBRARY := scripts/target-cargo.sh library build/library
PLAIN := scripts/target-cargo.sh image build/plain
FIRMWARE := scripts/target-cargo.sh firmware build/firmware
SYSTEM := target/tools/rmm-test-system --rmm build/rmm.bin --rmm-self-test build/rmm-self-test.bin \
	--el3 build/el3.bin --host build/host.bin --realm build/realm.bin --xlat build/xlat.bin

.DEFAULT_GOAL := help
# Two builds share each target folder, and cargo uses all processors by itself.
.NOTPARALLEL:
.PHONY: help setup-core setup-qemu tools build build-self-test build-debian-core firmware xlat-test images run linux linux-test test stress bench \
	explore lint host-test system-test plain-test mutation-proof mutants miri tsan coverage report diagrams clean
.PHONY: map size rim verify-token profile addr2line debug

help: ## list the targets
	@sed -n 's/^\([a-z0-9-]*\):.*## \(.*\)/\1\t\2/p' $(MAKEFILE_LIST) | expand -t 20
	@echo "RMM_LOG=error|warn|info|debug sets the least grave lines that the image prints; info if not given"
	@echo "CORE=rustup-src|debian-src|precompiled forces where the image's core comes from"

setup-core: ## fetch the sources of core that the image is built with, if need be
	@scripts/core.sh

setup-qemu: ## install QEMU 9.2 or newer, if need be
	@scripts/qemu.sh

tools: ## the test runner and elf2bin, for this machine
	cargo build -q --profile tools -p rmm-test-system -p rmm-test-counter

build: tools ## the RMM: build/rmm.elf and build/rmm.bin
	$(IMAGE) build -p rmm --bin rmm
	cp build/image/rmm build/rmm.elf
	target/tools/elf2bin --pie build/rmm.elf build/rmm.bin

build-self-test: tools ## the RMM with its deliberate faults: build/rmm-self-test.bin
	$(IMAGE) build -p rmm --bin rmm-self-test --features self-test
	cp build/image/rmm-self-test build/rmm-self-test.elf
	target/tools/elf2bin --pie build/rmm-self-test.elf build/rmm-self-test.bin

build-debian-core: ## the RMM with core from Debian's sources, to show that this way works
	$(MAKE) --no-print-directory build CORE=debian-src

firmware: tools ## the test firmware: build/el3.bin, build/host.bin, build/realm.bin and build/vmm.bin
	$(FIRMWARE) build -p rmm-test-firmware
	target/tools/elf2bin build/firmware/el3 build/el3.bin
	target/tools/elf2bin build/firmware/host build/host.bin
	target/tools/elf2bin build/firmware/realm build/realm.bin
	target/tools/elf2bin build/firmware/vmm build/vmm.bin

xlat-test: tools ## the image that tests the translation tables: build/xlat.bin
	$(LIBRARY) build -p rmm-test-xlat
	target/tools/elf2bin build/library/xlat build/xlat.bin

images: build build-self-test firmware xlat-test

run: setup-qemu images ## boot the RMM on QEMU and show a session of a host, and a Realm that runs
	$(SYSTEM) --show session
	$(SYSTEM) --show realm-runs

# LINUX="--recs 2" and the like; target/tools/linux --help lists what there is.
LINUX ?=
linux: setup-qemu build firmware ## boot Debian's Linux in a Realm on QEMU, and give a shell; Ctrl-A X ends QEMU
	scripts/linux.sh
	target/tools/linux $(LINUX)

linux-test: setup-qemu build firmware ## Linux in Realms, unattended: load, preemption, two Realms; a few minutes
	scripts/linux.sh
	target/tools/linux --count --test

# The images, whose last step has one thread each, are built beside the tests of this machine.
test: setup-qemu ## everything that is tested, here and on QEMU
	@mkdir -p build
	@$(MAKE) --no-print-directory images lint-target >build/images.log 2>&1 & images=$$!; \
	$(MAKE) --no-print-directory lint-host host-test; here=$$?; \
	wait $$images || { cat build/images.log; exit 1; }; exit $$here
	@$(MAKE) --no-print-directory system-test

stress: setup-qemu images ## the long tests on QEMU, which take the better part of an hour
	$(SYSTEM) --stress

SCENARIO ?= session
debug: setup-qemu images ## start the machine of `make run`, or of SCENARIO, stopped, and attach gdb to it
	scripts/debug.sh $(SYSTEM) --show $(SCENARIO)

# Only an image that logs at debug level prints its maps. It is left beside the one that the tests take.
map: setup-qemu firmware ## the live VA maps of a booted image: the Low VA range, and the High VA range of its first CPU
	RMM_LOG=debug $(IMAGE) build -p rmm --bin rmm
	target/tools/elf2bin --pie build/image/rmm build/rmm-debug-log.bin >/dev/null
	target/tools/rmm-test-system --rmm build/rmm-debug-log.bin --el3 build/el3.bin --host build/host.bin --show session \
		>build/map.log || { cat build/map.log; exit 1; }
	@sed -n -e '/Low VA map:$$/,/^tables:/p' -e '/High VA map of CPU 0:$$/,/^tables:/p' build/map.log

size: build ## the sections of the image and its largest symbols
	scripts/size.sh build/rmm.elf

REALM ?=
rim: tools ## the Realm Initial Measurement of a Realm that is built as REALM says, or how to say it
	@target/tools/rim $(REALM)

# OpenSSL is built from source, some minutes, where there is none to link with.
verify-token: setup-qemu images ## have Veraison's ccatoken verify tokens of Realms on QEMU, and refuse changed ones
	for scenario in token token-2.0; do $(SYSTEM) --show $$scenario >build/$$scenario.log || exit; done
	cd tests/ccatoken && $(if $(shell pkg-config --exists openssl 2>/dev/null && echo yes),OPENSSL_NO_VENDOR=1) \
		cargo run -q --locked --release --target-dir ../../build/target-ccatoken -- \
		../../build/token.log ../../build/token-2.0.log
	scripts/token-stamp.sh write

ELF ?= build/rmm.elf
addr2line: tools ## name the functions in a fatal report: of a console log in LOG, or standard input; ELF is the image that printed it
	@target/tools/addr2line $(ELF) $(LOG)

# Twice, because an instruction count has to repeat.
MEASURED := rmi1-instructions rmi2-instructions rmi2-range-instructions rmi2-realm-instructions \
	rmi2-run-instructions rmi2-blocks realm-instructions table-instructions run-instructions whole-life \
	realm-call-instructions boot-instructions-attestation token token-interrupts-1 xlat-costs lock-waits
bench: setup-qemu images ## every figure, compared with docs/performance.md; BENCH=--update writes them there
	for scenario in $(MEASURED) $(MEASURED); do $(SYSTEM) --show $$scenario || exit; done >build/figures.log
	cargo test -q --test figures -- --nocapture >>build/figures.log
	cargo bench -q --bench look_up >>build/figures.log
	target/tools/performance $(BENCH) docs/performance.md build/figures.log

# One scenario of one CPU. The log has a line for each instruction: tens of millions are too many.
PROFILED ?= table-instructions
profile: setup-qemu images ## where each visit to the RMM spends its instructions, in scenario PROFILED
	$(SYSTEM) --qemu scripts/qemu-log.sh --show $(PROFILED) >build/profile.log || { cat build/profile.log; exit 1; }
	target/tools/profile build/rmm.elf build/instructions.log

mutants: ## make small changes to src/xlat and src/granule, and list those that no test notices; MUTANTS="--shard 0/8" for a part
	scripts/cargo-tool.sh cargo-mutants
	cargo mutants --output build $(MUTANTS)

miri: ## unit tests and those of two rooms under Miri, if there is a nightly toolchain with it
	scripts/nightly.sh miri

tsan: ## the concurrent tests under ThreadSanitizer, if there is a nightly toolchain with rust-src
	scripts/nightly.sh tsan

coverage: ## the share of the lines of src/ that the tests of this machine execute
	scripts/coverage.sh

lint: lint-host lint-target ## formatting, clippy and rustdoc, of what runs here and on the target

# What is built for this machine alone; the two images of tests/qemu are for the target alone.
HERE := --workspace --exclude rmm-test-firmware --exclude rmm-test-xlat
lint-host:
	cargo fmt --all --check
	cargo clippy -q $(HERE) --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc -q --no-deps $(HERE) --exclude rmm-test-loom

lint-target:
	$(IMAGE) clippy -p rmm --bin rmm -- -D warnings
	$(IMAGE) clippy -p rmm --bin rmm-self-test --features self-test -- -D warnings
	$(IMAGE) clippy -p rmm-test-xlat -- -D warnings
	$(FIRMWARE) clippy -p rmm-test-firmware -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(IMAGE) doc --no-deps -p rmm

host-test: ## the tests that run on this machine
	cargo test -q
	$(DRAWN) cargo test -q -p rmm-diagrams
	cargo test -q --profile tools -p rmm-test-system
	cargo test -q --profile loom -p rmm-test-loom
	cargo test -q --profile explore -p rmm-test-explore

EXPLORED ?=
explore: ## every state of small machines, a quarter of an hour on two processors; EXPLORED="realms recs" for some
	cargo run -q --profile explore -p rmm-test-explore -- $(EXPLORED)

system-test: setup-qemu images ## the tests that run on QEMU
	target/tools/mutation-proof --check
	target/tools/exploration-proof --check
	$(SYSTEM) $(addprefix --gdb ,$(shell scripts/gdb.sh))

# The other tests have the hardened image, unless that one cannot be built.
plain-test: setup-qemu firmware ## read back the control registers under an image without branch protection
	CORE=precompiled $(PLAIN) build -p rmm --bin rmm
	target/tools/elf2bin --pie build/plain/rmm build/rmm-plain.bin
	target/tools/rmm-test-system --rmm build/rmm-plain.bin --el3 build/el3.bin --host build/host.bin \
		--realm build/realm.bin --filter control-registers

mutation-proof: setup-qemu tools ## break the tree in every listed way and see the emulated tests fail (about a minute for each)
	target/tools/mutation-proof

# Build options move what some pictures show; the committed ones show the default.
DRAWN := env -u RMM_STACK_PAGES -u RMM_EXCEPTION_STACK_PAGES

report: ## write docs/reports/tests.md, which says what is tested where
	RMM_REPORT=1 cargo test -q --profile tools -p rmm-test-system --test report

diagrams: ## draw the pictures in docs/diagrams from the code
	$(DRAWN) cargo run -q --profile tools -p rmm-diagrams

clean: ## remove everything that was built or fetched
	cargo clean -q
	rm -rf build
