# Strata: `make demo` and `make test` install all they need on a fresh Debian machine.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
unexport PYTHONDONTWRITEBYTECODE # doubles the start of every process of ours

BIN := .venv/bin
PYTHON_STAMP := .venv/.installed
NODE_STAMP := node_modules/.installed
WORKERS ?= 2
PYTEST ?= --numprocesses $(WORKERS) --dist loadfile --no-loadscope-reorder

.PHONY: help install install-dev system system-dev demo test dev check bench clean

help: ## what can be made
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

install: system $(PYTHON_STAMP) ## Python packages, PostgreSQL with PostGIS, PgBouncer

system:
	@bash scripts/install_system.sh venv postgis pgbouncer

$(PYTHON_STAMP): pyproject.toml uv.lock scripts/install_python.sh | system
	@bash scripts/install_python.sh
	@touch $@

install-dev: install system-dev $(NODE_STAMP) ## what the tests need besides: Azurite, Chromium

system-dev:
	@bash scripts/install_system.sh node chromium

$(NODE_STAMP): package-lock.json | system-dev
	npm ci --no-audit --no-fund --loglevel=error
	@touch $@

demo: install ## samples through the whole chain, in a private database
	@$(BIN)/strata demo

dev: install ## Dagster's web interface and daemon, until Ctrl-C
	@$(BIN)/strata dev

test: install-dev ## the whole suite, against real services
	$(BIN)/pytest $(PYTEST)

check: $(PYTHON_STAMP) ## lint, format, types, import rules, dataset files
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/pyright
	$(BIN)/lint-imports
	@# one by one: given several, dg 1.13 looks at the last of each type only
	@for dataset in geo_assets/defs/*/defs.yaml; do $(BIN)/dg check yaml "$$(dirname "$$dataset")"; done

bench: install ## the tables of bench/
	@for table in bench/bench_*.py; do echo "$$table"; $(BIN)/python "$$table"; done

clean: ## stop the services, remove all that was made here
	@if [ -x $(BIN)/strata ]; then $(BIN)/strata clean --yes; fi
	rm -rf .strata .venv node_modules dist .pytest_cache .ruff_cache .hypothesis \
		.import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
