# The two commands: `make run` (the demo) and `make test` (everything that is checked).
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
PORTS ?=
ARGS ?=
VENV := .venv
BIN := $(VENV)/bin
ASSETS := eme_connector/web/assets

# a pyenv shim can be found and still not run, so candidates are tried
PYTHON ?= $(shell for p in python3 python3.13 python3.12 python3.11; do \
	$$p -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$p && break; done)

.PHONY: help run test lint bench soak docs assets wheel clean pytest tools

help:
	@echo "make run     two sidecars on this machine, with a sample detection"
	@echo "make test    lint, types, import rules, all tests"
	@echo "make lint | soak | bench | docs | assets | wheel | clean"

$(VENV)/made: scripts/venv.sh
	@PYTHON="$(PYTHON)" scripts/venv.sh $(VENV)
	@touch $@

$(VENV)/run: $(VENV)/made setup.cfg
	@echo "Installing what the connector needs (once, up to a minute) ..."
	@$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python -e .
	@touch $@

$(VENV)/dev: $(VENV)/made setup.cfg
	@echo "Installing what the tests need (once, up to a minute) ..."
	@$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python -e '.[dev,postgresql]'
	@touch $@ $(VENV)/run

run: $(VENV)/run
	@exec $(BIN)/eme demo $(ARGS)

test: $(VENV)/dev tools
	@scripts/timed.sh "assets" $(MAKE) --no-print-directory assets
	@$(MAKE) --no-print-directory lint
	@scripts/timed.sh "tests" $(BIN)/pytest --durations=15 $(ARGS)

lint: $(VENV)/dev
	@scripts/timed.sh "ruff" $(BIN)/ruff check .
	@scripts/timed.sh "format" $(BIN)/ruff format --check .
	@scripts/timed.sh "mypy" $(BIN)/mypy
	@scripts/timed.sh "imports" $(BIN)/lint-imports

tools:
	@scripts/tools.sh

soak: $(VENV)/dev tools
	@$(BIN)/pytest -m long $(ARGS)

bench: $(VENV)/dev
	@command -v wrk >/dev/null || { echo "wrk is missing: apt-get install wrk"; exit 1; }
	@$(BIN)/python -m bench $(if $(QUICK),--quick) $(ARGS)

docs: $(VENV)/dev
	@$(BIN)/sphinx-build -W -q -b html docs build/docs && echo "build/docs/index.html"

assets:
	@command -v npm >/dev/null || { \
		echo "npm is missing: pages stay plain. Install it with: apt-get install npm"; exit 0; }; \
	cd $(ASSETS) && npm ci --silent --no-audit --no-fund && npm run --silent build

wheel: $(VENV)/dev
	@test -d eme_connector/web/static/dist || { echo "run 'make assets' first"; exit 1; }
	@find eme_connector templates misp_modules -type f -exec chmod 644 {} +
	@SOURCE_DATE_EPOCH=$$(git log -1 --format=%ct) $(BIN)/python -m build --wheel --outdir dist .

clean:
	@rm -rf $(VENV) build dist *.egg-info eme_connector/web/static/dist $(ASSETS)/node_modules
