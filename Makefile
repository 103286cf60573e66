# What can be done here. `make` lists it; every recipe does its own set-up, given Python 3.11 and a package index.

PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
PIP := $(PY) -m pip --disable-pip-version-check --quiet
ROOMS := common producer workers consumer compose
# What has to work with the redis-py that arq allows, too: all that talks to Redis, and workers as the promises have them.
CORE_TESTS := $(wildcard $(addprefix tests/,common producer consumer promises))

# Tests start hundreds of processes: without it, each would compile every module again.
unexport PYTHONDONTWRITEBYTECODE

DEMO := $(VENV)/.installed-demo
DEV := $(VENV)/.installed-dev
REDIS5 := build/redis5/.installed

.PHONY: help install demo up test test-latest test-redis5 search test-live chaos lint types format bench clean

help: ## List what can be done
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

install: $(DEV) ## Set up .venv with all that development needs

demo: $(DEMO) ## Hear a turn, on this machine alone
	$(VENV)/bin/saystream demo

up: $(DEMO) ## Run everything on this machine: Redis, a worker, the stand-in vendor
	$(VENV)/bin/saystream up

test: test-latest test-redis5 ## Run all tests, then the core's again on redis-py 5

test-latest: $(DEV)
	$(PY) -m pytest -n auto

test-redis5: $(DEV) $(REDIS5) ## Run the core's tests on redis-py 5
	PYTHONPATH=build/redis5 $(PY) -m pytest -n auto $(CORE_TESTS) --ignore tests/common/ledger/test_walk.py

search: $(DEV) ## Try what was never tried: the property tests, with new examples each time
	$(PY) -m pytest -n auto -m hypothesis --hypothesis-profile=search

test-live: $(DEV) ## Speak a turn at each real vendor whose API key is set
	$(PY) tests/live/run.py

chaos: $(DEV) ## Break everything for half an hour and count the words
	$(PY) -m tests.chaos.run $(CHAOS)

lint: $(DEV) ## Check style and format
	$(VENV)/bin/ruff check
	$(VENV)/bin/ruff format --check

types: $(DEV) build/types/saystream ## Check types
	$(VENV)/bin/mypy $(addprefix -p saystream.,$(ROOMS))
	$(VENV)/bin/mypy tests

format: $(DEV) ## Format, and repair what ruff can
	$(VENV)/bin/ruff check --fix
	$(VENV)/bin/ruff format

bench: $(DEV) ## Measure
	$(PY) -m tests.bench.run
	$(PY) -m tests.bench.interrupt
	$(PY) tests/bench/text.py

clean: ## Remove what was built, all but .venv
	rm -rf build dist *.egg-info .mypy_cache .pytest_cache .ruff_cache .hypothesis
	find $(ROOMS) tests -name __pycache__ -prune -exec rm -rf {} +

$(PY):
	$(PYTHON) -m venv $(VENV)

$(DEMO): pyproject.toml | $(PY)
	$(PIP) install --editable '.[local]'
	touch $@

$(DEV): pyproject.toml | $(PY)
	$(PIP) install --editable '.[local,test,dev]'
	touch $@ $(DEMO)

$(REDIS5): pyproject.toml | $(DEV)
	$(PIP) install --upgrade --target build/redis5 'redis>=5.3,<6'
	touch $@

build/types/saystream:
	mkdir -p build/types
	ln -sfn ../.. $@
