# What a developer runs is what .ci/run runs.

.PHONY: help run setup pages test check e2e chaos corpus bench bench-ingest bench-encode bench-stores garage fmt

help:
	@echo "make run     install what is missing, build, start matinee on http://localhost:8080"
	@echo "make test    set up this machine for tests and run all of them"
	@echo "make check   formatting, lints, documents, shape; no product run"
	@echo "make e2e     the browser tests only"
	@echo "make chaos   the tests under fault with full numbers (make test runs few); MATINEE_KILLS=n, SIM_SEEDS=n, ..."
	@echo "make corpus  every odd and hostile file through a real server, 10 minutes (make test runs a part of them)"
	@echo "make bench   every published number, side by side with its peer"
	@echo "make bench-ingest   the uploads among them, 8 minutes; BENCH_RUSTUS=path adds rustus"
	@echo "make bench-encode   the encoding among them, beside the arguments of other platforms; BENCH_LADDER_S=40"
	@echo "make bench-stores   copies in stores among them, beside rclone and the disk, 10 minutes"
	@echo "make garage  builds a Garage once, outside of this tree, so that the stores are tried on it, too; a quarter of an hour"
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
	tools/clients

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
	MATINEE_KILLS=$${MATINEE_KILLS:-200} MATINEE_UPLOAD_KILLS=$${MATINEE_UPLOAD_KILLS:-500} \
	  MATINEE_ACCOUNT_KILLS=$${MATINEE_ACCOUNT_KILLS:-20} MATINEE_CUTS=$${MATINEE_CUTS:-500} SIM_SEEDS=$${SIM_SEEDS:-1000} \
	  MATINEE_ERASED=$${MATINEE_ERASED:-10000} cargo test --workspace --test main -- --nocapture kill cut_every an_app_goes
	SIM_SEEDS=$${OUTSIDE_SEEDS:-10000} cargo test -p matinee-core --test outside
	SIM_SEEDS=$${POWER_SEEDS:-20000} cargo test -p matinee-io --lib -- loss_of_power

corpus: setup
	tools/pages
	MATINEE_CORPUS=$${MATINEE_CORPUS:-all} cargo test -p matinee --test main -- --nocapture corpus proofs

bench:
	@tools/need bench
	tools/pages
	benches/run

bench-ingest:
	@tools/need bench
	tools/pages
	benches/run upload

bench-encode:
	@tools/need bench
	tools/pages
	benches/run encode

bench-stores:
	@tools/need bench
	tools/pages
	benches/run stores

garage:
	@tools/garage

fmt:
	cargo fmt --all
	npm --prefix web run format
