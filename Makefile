# Everything one does with this repository, by name. `make` alone lists it.

SHELL := bash
.DEFAULT_GOAL := help

# Outside the checkout, so that it stays small and clones on one machine share what is built.
CACHE := $(or $(TASKLANE_CACHE),$(or $(XDG_CACHE_HOME),$(HOME)/.cache)/tasklane)
export CARGO_TARGET_DIR ?= $(CACHE)/target

.PHONY: help setup build demo test up down logs status keys check fmt bench fuzz clean

help: ## List what there is
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## Fetch what it runs with (nats-server, PDFium, libtorch, a small model) into a cache; no root (STACK_ML=no: no models)
	@scripts/setup.sh needed

build: ## Build the services and the command, optimised
	@scripts/build.sh --release

demo: setup build ## Show what it does: every document of examples/ through a running stack, and their chunks through a model
	@scripts/stack.sh demo

up: setup build ## Run NATS and all services here, until Ctrl-C
	@scripts/stack.sh up

down: ## Stop a stack that another terminal started
	@scripts/stack.sh down

status: ## Who runs, where, and whether it is ready
	@scripts/stack.sh status

logs: ## Follow the logs of a running stack
	@scripts/stack.sh logs

keys: build ## Make keys, certificates and permissions of NATS users in .tasklane/keys (KEYS="..." gives more arguments)
	@$(CARGO_TARGET_DIR)/release/tasklane keys $(KEYS)

test: setup ## Run all tests, and say which were skipped
	@scripts/test.sh

check: ## Format, lints, layers, pages, dependencies, shell scripts
	@scripts/check.sh

fmt: ## Format the Rust sources
	cargo fmt --all

bench: setup build ## Measure a stack of its own: rate, latency, tracing, memory, model calls (BENCH="..." gives the load test's own arguments)
	@$(CARGO_TARGET_DIR)/release/tasklane-loadtest $(BENCH)

fuzz: ## Fuzz what reads bytes from outside (FUZZ_SECONDS each, 60 as it comes)
	@scripts/fuzz.sh

clean: ## Remove this checkout's data, logs and build output (the shared cache of tools stays)
	@scripts/stack.sh down
	rm -rf .tasklane
	cargo clean
