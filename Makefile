# What each does, and what it needs: CONTRIBUTING.md.
.PHONY: demo test test-all soak lint bench fuzz

demo: ## A sealed server from nothing, proved, shown and removed.
	@tests/demo.sh

test: ## Every promise at least once, on PostgreSQL 15 and 18.
	@tests/test.sh test

test-all: ## The same on every supported version.
	@tests/test.sh all

soak: ## Full counts, on all versions; writes docs/evidence/.
	@tests/soak.sh

lint: ## Formatting, clippy, rustdoc, scripts, and what has no place in the repository.
	@tests/lint.sh

bench: ## Writes docs/benchmarks.md.
	@tests/bench.sh

fuzz: ## Each fuzz target for PGSEAL_FUZZ_SECONDS (60).
	@tests/fuzz.sh
