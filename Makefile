# Two commands do everything on a fresh clone: `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Real data for the tests that need it. If the project's data folder exists, it is prepared once.
PREPARE := ../shared/data/prepare
export MMGAN_DATA ?= $(if $(wildcard $(PREPARE)),$(CURDIR)/.test-data,)

.PHONY: demo test test-fast lint soak bench docs tables clean help

help:  ## list the targets
	@grep -E '^[a-z-]+:.*## ' Makefile | sed -E 's/:.*## /\t/'

$(VENV)/.installed: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e .
	touch $@

$(VENV)/.installed-dev: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	touch $(VENV)/.installed $@

demo: $(VENV)/.installed  ## train a GAN on scikit-learn's digits for two to three minutes and score it
	$(BIN)/accelerate launch mmgan/train_gan.py --mix 1,2,pixel --out runs/demo --overwrite

# Workers share the tests file by file, with a thread each.
WORKERS ?= 2
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder

test: $(VENV)/.installed-dev data lint  ## check types and style, run all tests but the soak
	$(PYTEST) -m "not soak"

test-fast: $(VENV)/.installed-dev data  ## run the tests that are not marked slow, in a minute: before each commit
	$(PYTEST) -m "not slow and not soak"

soak: $(VENV)/.installed-dev data  ## long campaigns: every write point, forty kills of the digits demo, 200 runs of two processes
	$(PYTEST) -m soak
	$(BIN)/python -m tests.faults.soak
	$(BIN)/python -m tests.faults.soak --processes 2 --seed 1
	$(BIN)/python -m tests.faults.soak_exits
	ACCELERATE_USE_CPU=1 OMP_NUM_THREADS=1 $(BIN)/python -W ignore -m tests.faults.folder_machine --sequences 2000
	$(BIN)/python -m tests.faults.soak_fuzz

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(VENV)/.installed  ## measure speed and memory against their targets
	$(BIN)/python benchmarks/run.py

$(VENV)/.installed-docs: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[docs]'
	touch $@

docs: $(VENV)/.installed-docs  ## build the site into build/site, strictly; its pages open from the disk
	$(BIN)/mkdocs build --strict --quiet
	@echo build/site/index.html

tables: $(VENV)/.installed  ## rewrite the tables and the figure of docs/reproduction from results/
	$(BIN)/python -m mmgan.experiments.framework.documents docs/reproduction/*.md results
	$(BIN)/python docs/scripts/forest.py

data:
	@if [ -x $(PREPARE) ] && [ "$(MMGAN_DATA)" = "$(CURDIR)/.test-data" ]; then $(PREPARE) $(MMGAN_DATA); fi

clean:  ## remove everything that these commands made, except runs
	rm -rf $(VENV) .test-data .mypy_cache .ruff_cache .pytest_cache dist build
.PHONY: data
