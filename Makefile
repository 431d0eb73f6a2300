# Every target works from a fresh clone on Debian with python3 >= 3.11; `make help` lists them.
SHELL := /bin/bash
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

BIN := .venv/bin
export PYTHONPATH := $(CURDIR)
DEMO_ENV := demo/data/demo.env

# The demo world: the shipped activity and catalogue of this folder, and the demo beside it.
# An own world replaces it, with a store of its own:
#   make nightly NACHWEIS_WORLD=/path/to/world NACHWEIS_STATE=/path/to/world/.nachweis
ifeq ($(origin NACHWEIS_WORLD),undefined)
export NACHWEIS_WORLD := $(CURDIR):$(CURDIR)/demo
WORLD_READY := demo
LOAD := set -a; . ./$(DEMO_ENV); set +a;
LAST_NIGHT = $$(sed -n 's/^until \([0-9-]*\) .*/\1/p' demo/data/generated.txt)
endif

NIGHT = $(or $(DATE),$(LAST_NIGHT))
RUNNER = $(BIN)/python -m nachweis.airflow_bridge.runner nightly \
	$(if $(NIGHT),--date $(NIGHT)) $(if $(FAIL_ON),--fail-on $(FAIL_ON))

.PHONY: help
help: ## List the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sort | \
		awk 'BEGIN {FS = ":.*## "} {printf "  make %-20s %s\n", $$1, $$2}'

.PHONY: env
env: ## Create .venv from the hashed lock file (skipped while unchanged)
	@python3 tools/environment.py runtime

.PHONY: dev
dev: ## The same with the tools for tests and lint
	@python3 tools/environment.py dev

.PHONY: demo
demo: env ## Generate the demo world if it is absent
	@test -f $(DEMO_ENV) || $(BIN)/python -m demo.generate

.PHONY: nightly
nightly: env $(WORLD_READY) ## Run one night: make nightly [DATE=2026-10-20] [FAIL_ON=high]
	@$(LOAD) $(RUNNER)

.PHONY: up
up: env $(WORLD_READY) ## Start Airflow, the S3 server and the site; prints address and login
	@$(LOAD) $(BIN)/python -m nachweis.airflow_bridge.local up

.PHONY: down
down: env ## Stop what `make up` started
	@$(BIN)/python -m nachweis.airflow_bridge.local down

.PHONY: test
test: lint ## Lint, types and all tests
	@$(BIN)/python -m pytest -n 2 --dist loadfile --no-loadscope-reorder $(PYTEST_ARGS)

.PHONY: lint
lint: dev ## Ruff, mypy, import contracts
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

.PHONY: format
format: dev ## Format the code and apply safe fixes
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

.PHONY: bench
bench: dev ## Measure one model; BENCH_ARGS=--all-checks; see also bench/growth.py
	@$(BIN)/python bench/one_model.py $(BENCH_ARGS)

.PHONY: detection
detection: dev ## Plant defects, write docs/detection.md: make detection [SEEDS=20] [NIGHTS=2000]
	@OMP_NUM_THREADS=1 $(BIN)/python -m tests.detection.power.run \
		$(if $(SEEDS),--seeds $(SEEDS)) $(if $(NIGHTS),--nights $(NIGHTS)) $(DETECTION_ARGS)

.PHONY: docs
docs: env ## Write what is generated (schemas, checks.md, messages); check links
	@$(BIN)/nachweis lint --write-schemas manifests/schema
	@$(BIN)/nachweis export schema --out docs/schema
	@$(BIN)/python -m nachweis.pipeline.coverage
	@$(BIN)/nachweis check list --markdown > docs/checks.md
	@$(BIN)/python -m nachweis.pages.messages
	@$(BIN)/python tools/check_links.py README.md CONTRIBUTING.md docs

.PHONY: reliability
reliability: dev ## Write the tables of docs/reliability.md from the tests
	@$(BIN)/python -m tests.reliability

.PHONY: compose-check
compose-check: dev ## Validate docker-compose.yml with Compose itself, the schema and a linter
	@$(BIN)/python -m pytest -q tests/contract/test_compose.py

.PHONY: production-secrets
production-secrets: env ## Generate the secret files of docker-compose.yml: FOLDER=...
	@$(BIN)/python tools/production_secrets.py "$(FOLDER)"

.PHONY: lock
lock: dev ## Resolve the lock files anew from pyproject.toml
	@$(BIN)/python tools/lock.py $(LOCK_ARGS)

.PHONY: clean
clean: ## Remove the environment, caches, local state and the generated demo data
	@test ! -x $(BIN)/python || $(BIN)/python -m nachweis.airflow_bridge.local down --quiet || true
	@rm -rf .venv .nachweis build dist .pytest_cache .mypy_cache .ruff_cache \
		.import_linter_cache .hypothesis demo/data bench/data
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
