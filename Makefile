# The commands of this repository. Each sets up .venv first, unless nothing has changed since: what runs the service
# from requirements-server.lock, what works on it from requirements.lock, which holds that and all else.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
SERVER := $(VENV)/.installed-server
UV_VERSION := 0.13.9
COMPILE := $(BIN)/uv pip compile --quiet --universal --generate-hashes --no-header --no-emit-index-url --python-version 3.11

# Bytecode is kept, whatever the environment says: the tests start many processes, and each would compile all anew.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help demo serve test test-unit test-long test-web check docs clips bench-smoke lock

help: ## List these commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(SERVER) ## From zero workers to live text on this machine, and back
	@$(BIN)/scribewire demo

serve: $(SERVER) ## Run the service
	@$(BIN)/scribewire serve

test: $(STAMP) ## Run the tests
	@$(BIN)/pytest --numprocesses 4 --dist loadfile --no-loadscope-reorder

test-unit: $(STAMP) ## Run the tests that need nothing but this process, in seconds
	@$(BIN)/pytest --numprocesses 2 --dist loadfile --hypothesis-profile=few \
		-m 'not e2e and not integration and not long and not web' --ignore=tests/e2e --ignore=tests/web --ignore=tests/cli

test-long: $(STAMP) ## Run the longer proofs
	@$(BIN)/pytest -m long

test-web: $(STAMP) ## Run the tests of the web page (needs chromium)
	@$(BIN)/pytest -m web tests/web

check: $(STAMP) ## Check format, lint and types
	@$(BIN)/ruff format --check --quiet
	@$(BIN)/ruff check --quiet
	@$(BIN)/mypy
	@$(BIN)/python scripts/docs.py --check

docs: $(STAMP) ## Write the generated parts of docs/ anew
	@$(BIN)/python scripts/docs.py

clips: $(STAMP) ## Make the speech clips anew (needs flite)
	@$(BIN)/python scripts/make_clips.py

bench-smoke: $(STAMP) ## Print the latencies of a warm service beside their bars
	@$(BIN)/python scripts/bench_smoke.py

lock: $(STAMP) ## Resolve both locks anew
	@$(BIN)/pip install --quiet --disable-pip-version-check uv==$(UV_VERSION)
	@$(COMPILE) --upgrade --all-extras --group dev pyproject.toml --output-file requirements.lock
	@$(COMPILE) --extra server --group build --constraint requirements.lock pyproject.toml --output-file requirements-server.lock

$(STAMP): requirements.lock $(SERVER)
	@echo "Installing what the tests need, from requirements.lock …"
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@touch $@

$(SERVER): requirements-server.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || \
		{ echo "Scribewire needs Python 3.11 or newer; $(PYTHON) is not. Name one: make PYTHON=python3.12 …" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
		{ echo "$(PYTHON) lacks venv: install it (on Debian, the package python3-venv)." >&2; exit 1; }
	@echo "Setting up $(VENV) from requirements-server.lock …"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-server.lock
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@
