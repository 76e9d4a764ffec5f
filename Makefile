# SPDX-License-Identifier: BSD-3-Clause
export RUSTUP_AUTO_INSTALL := 0
.PHONY: test lint host-test
test: lint host-test
lint:
	cargo fmt --all -- --check
	cargo clippy -q --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc -q --no-deps
host-test:
	cargo test -q
	cargo test -q --release -p rmm-test-loom
