# What a developer runs is what .ci/run runs.

.PHONY: help run setup pages test check e2e chaos bench fmt

help:
	@echo "make run     install what is missing, build, start matinee on http://localhost:8080"
	@echo "make test    set up this machine for tests and run all of them"
	@echo "make check   formatting, lints, documents, shape; no product run"
	@echo "make e2e     the browser tests only"
	@echo "make chaos   the kill test with 200 random moments (make test runs fewer); SIM_SEEDS=n for more seeds"
	@echo "make bench   every published number, side by side with its peer"
	@echo "make fmt     format Rust and TypeScript"

run:
	@tools/need run
	tools/pages
	cargo build --release --bin matinee
	@echo "starting matinee; its data lies in ./matinee-data, Ctrl-C stops it"
	exec "$${CARGO_TARGET_DIR:-target}/release/matinee"

setup:
	@tools/need test
	tools/pages packages

pages:
	@tools/need run
	tools/pages

test: setup
	tools/pages
	tools/test

check: setup
	tools/pages
	tools/check

e2e: setup
	tools/pages
	tools/test e2e

chaos: setup
	tools/pages
	MATINEE_KILLS=$${MATINEE_KILLS:-200} SIM_SEEDS=$${SIM_SEEDS:-1000} cargo test --workspace --test main -- --nocapture kill

bench:
	@tools/need bench
	tools/pages
	benches/run

fmt:
	cargo fmt --all
	npm --prefix web run format
