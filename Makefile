# Every command of the project. `make help` lists them; `.venv` is made on first use.

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

# The interpreter that .venv is made from; `make PYTHON=/path/to/python3.13 ...` names another.
PYTHON ?=
# Passed on: `make demo ARGS=--kill`, `make bench ARGS="--only insert"`, `make test PYTEST_ARGS="-x tests/unit"`.
ARGS ?=
# Processes share one set of servers; a file's tests stay together so that its fixtures are made once. One more than there
# are cores, as many tests wait for others; long files come first (tests/conftest.py).
PYTEST_ARGS ?= -n 3 --dist loadfile --no-loadscope-reorder

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install --quiet --disable-pip-version-check
BENCH := .bench
# Notes of what was finished: older than pyproject.toml means install again.
MADE := $(VENV)/.made
INSTALLED_DEMO := $(VENV)/.installed-demo
INSTALLED_DEV := $(VENV)/.installed-dev
INSTALLED_QUEUES := $(BENCH)/queues/.installed
INSTALLED_PEER := $(BENCH)/peer/.installed

# Tests start more than a thousand processes of Python: each would compile what it imports, half a second of it.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help demo test chaos lint format conformance bench bench-engine clean

help:  ## List every target
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' $(firstword $(MAKEFILE_LIST))

demo: $(INSTALLED_DEMO)  ## Compute a real pipeline with several worker processes (ARGS=--kill ends one of them)
	@$(BIN)/dj-worker demo $(ARGS)

test: lint $(INSTALLED_PEER)  ## Check the code and run every test; DJ_TEST_REQUIRE=all fails where a server is missing
	@$(BIN)/python -m pytest $(PYTEST_ARGS)

chaos: $(INSTALLED_DEV)  ## Kill, stop and cut off workers and servers for minutes, and judge what became of the jobs (ARGS="--seed 7")
	@$(BIN)/python -m tests.chaos.run $(ARGS)

lint: $(INSTALLED_DEV)  ## Check style, types and the layers
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

format: $(INSTALLED_DEV)  ## Rewrite the code in the style that lint expects
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

conformance: $(INSTALLED_DEV)  ## Test the rules of the specification, and write docs/conformance.md
	@$(BIN)/python -m pytest $(PYTEST_ARGS) -m rule --conformance docs/conformance.md

bench: $(INSTALLED_DEV) $(INSTALLED_PEER)  ## Time us, the peer and a hand-written floor (ARGS="--server mysql --only insert")
	@$(BIN)/python -m benchmarks.run --peer $(BENCH)/peer/bin/python $(ARGS)

bench-engine: $(INSTALLED_DEV) $(INSTALLED_QUEUES)  ## Time the job engine with a million jobs, and beside other queues
	@$(BIN)/python -m benchmarks.engine --others $(BENCH)/queues/bin/python $(ARGS)

clean:  ## Remove what the other targets made
	rm -rf $(VENV) $(BENCH) demo-output build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(MADE):
	@$(find_python); \
	echo "Making $(VENV) with $$python ($$($$python --version))" >&2; \
	$$python -m venv --clear $(VENV); \
	touch $@

$(INSTALLED_DEMO): pyproject.toml | $(MADE)
	@echo "Installing the project with its extras embedded and demo (once; a minute or two)" >&2
	@$(PIP) --editable '.[embedded,demo]'
	@touch $@

$(INSTALLED_DEV): pyproject.toml | $(MADE)
	@echo "Installing the project with all that its tests need (once; a minute or two)" >&2
	@$(PIP) --editable '.[dev]'
	@touch $@ $(INSTALLED_DEMO)

$(INSTALLED_PEER): benchmarks/peer-requirements.txt | $(MADE)
	@echo "Installing the peer in an environment of its own (once)" >&2
	@$(BIN)/python -m venv --clear $(BENCH)/peer
	@$(BENCH)/peer/bin/python -m pip install --quiet --disable-pip-version-check -r benchmarks/peer-requirements.txt
	@touch $@

$(INSTALLED_QUEUES): benchmarks/engine/queue-requirements.txt | $(MADE)
	@echo "Installing other queues in an environment of their own (once)" >&2
	@$(BIN)/python -m venv --clear $(BENCH)/queues
	@$(BENCH)/queues/bin/python -m pip install --quiet --disable-pip-version-check -r benchmarks/engine/queue-requirements.txt
	@touch $@

# Sets the shell's $python to the first interpreter on the PATH that will do. One that can make an
# environment right away is preferred; Debian keeps that ability in a package of its own.
define find_python
python=; bare=; \
for name in $(or $(PYTHON),python3 python3.14 python3.13 python3.12 python3.11 python); do \
  path=$$(command -v "$$name") || continue; \
  "$$path" -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 14))' 2>/dev/null || continue; \
  if "$$path" -c 'import ensurepip, venv' 2>/dev/null; then python=$$path; break; fi; \
  bare=$${bare:-$$path}; \
done; \
if [ -z "$$python" ] && [ -n "$$bare" ]; then \
  package=$$("$$bare" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])'); \
  if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
    echo "$$bare cannot make environments yet: installing $$package" >&2; \
    export DEBIAN_FRONTEND=noninteractive; { apt-get update -qq && apt-get install -y -qq --no-install-recommends "$$package"; } >/dev/null; \
    python=$$bare; \
  else \
    echo "$$bare cannot make environments. Install the package $$package (Debian, Ubuntu: sudo apt-get install $$package), or name another interpreter: make PYTHON=/path/to/python3" >&2; \
    exit 1; \
  fi; \
fi; \
if [ -z "$$python" ]; then \
  echo "No Python 3.11 to 3.14 $(if $(PYTHON),at $(PYTHON),on the PATH). Install one, or name it: make PYTHON=/path/to/python3" >&2; \
  exit 1; \
fi
endef
