# What people and CI type. `make` alone lists it; how RabbitMQ and Redis are found is in deploy/dev/services.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help demo build fmt fmt-check lint unit contract e2e test up down balance load ci clean-dev doc-tests all-tests

export PATH := $(PATH):$(CURDIR)/target/tools/bin
# What is deployed and measured; `release` is for trying things out, because it builds in a third of the time.
production := $(or $(CARGO_TARGET_DIR),target)/production
release := $(or $(CARGO_TARGET_DIR),target)/release
deny := cargo deny --locked --config deploy/deny.toml
# Under these the tests against the real RabbitMQ and Redis fail when they find none, instead of being skipped.
with_services := SMSFLEET_REQUIRE_SERVICES=1 deploy/dev/services run
without_services := env -u SMSFLEET_REQUIRE_SERVICES -u SMSFLEET_AMQP_URL -u SMSFLEET_REDIS_URL
# Always the whole workspace, narrowed by a filter: choosing packages would choose other features and build all again.
nextest := cargo nextest run --workspace

help: # not listed
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  %-10s  %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: ## Send 10,000 messages through seven providers' twins and check the books (ARGS='--fail-rate 0.05 --stay', …)
	@deploy/dev/tools compile
	cargo run --release -p smsfleet -- demo $(ARGS)

build: ## Build every binary and every test, unoptimised
	@deploy/dev/tools compile
	cargo build --workspace --bins --tests

fmt: ## Format the code
	cargo fmt --all

fmt-check: ## Say what is not formatted
	cargo fmt --all --check

lint: ## clippy without warnings, then cargo deny (SMSFLEET_ADVISORIES=1 asks the RustSec database too)
	@deploy/dev/tools
	cargo clippy --workspace --all-targets --locked -- -D warnings
	$(deny) -L error check bans licenses sources
	@if [[ -n "$${SMSFLEET_ADVISORIES:-}" ]]; then \
		if $(deny) fetch db; then $(deny) check --disable-fetch advisories; \
		else echo 'lint: the advisory database cannot be fetched from here; advisories are NOT checked' >&2; fi; fi

unit: ## Tests that need nothing running
	@deploy/dev/tools
	$(without_services) $(nextest) -E 'not package(smsfleet-tests)'

contract: build ## bus and ledger: one suite against the embedded and the real implementation
	@deploy/dev/tools
	$(with_services) $(nextest) -E 'package(bus) | package(ledger)'

e2e: build ## The real binaries against RabbitMQ, Redis and the provider twin
	@deploy/dev/tools
	$(with_services) $(nextest) -E 'package(smsfleet-tests)'

test: ## Everything: fmt-check, lint, unit, contract, e2e; starts and stops RabbitMQ and Redis by itself
	@deploy/dev/tools
	@deploy/dev/stages fmt-check lint build doc-tests all-tests

ci: test ## Exactly what CI runs

up: ## Find or start RabbitMQ and Redis; `deploy/dev/services env` prints where
	@deploy/dev/services up

down: ## Stop what `make up` started
	@deploy/dev/services down

balance: ## All seven providers, 10,000 recipients each, through separate processes, then compare the books (ARGS=…)
	@deploy/dev/tools compile
	cargo build --release --workspace --bins
	deploy/dev/services run $(release)/balance $(ARGS)

load: ## The load tests (ARGS='send-single' for one scenario); loadtest/README.md lists them
	@deploy/dev/tools compile
	cargo build --profile production --workspace --bins
	deploy/dev/services run $(production)/load $(if $(ARGS),run $(ARGS),all)

clean-dev: down ## down, and forget the logs that are left of it
	rm -rf target/dev-services

doc-tests:
	cargo test --quiet --workspace --doc

all-tests:
	$(with_services) $(nextest)
