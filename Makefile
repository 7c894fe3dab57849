# Two commands do everything on a fresh clone: `make demo` and `make test`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Real data for the tests that need it. If the project's data folder exists, it is prepared once.
PREPARE := ../shared/data/prepare
export MMGAN_DATA ?= $(if $(wildcard $(PREPARE)),$(CURDIR)/.test-data,)

.PHONY: demo test lint soak bench docs clean help

help:  ## list the targets
	@grep -E '^[a-z]+:.*## ' Makefile | sed -E 's/:.*## /\t/'

$(VENV)/.installed: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e .
	touch $@

$(VENV)/.installed-dev: pyproject.toml
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -e '.[dev]'
	touch $(VENV)/.installed $@

demo: $(VENV)/.installed  ## train a GAN on scikit-learn's digits for about two minutes and score it
	$(BIN)/accelerate launch mmgan/train_gan.py --mix 1,2,pixel --out runs/demo --overwrite

test: $(VENV)/.installed-dev data lint  ## install the development tools, check types and style, run the tests
	$(BIN)/python -m pytest

soak: $(VENV)/.installed-dev  ## kill the digits demo at twenty random moments; it must end bitwise equal to an undisturbed run
	$(BIN)/python -m tests.faults.soak

lint: $(VENV)/.installed-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: $(VENV)/.installed  ## measure speed and memory against their targets (about a quarter of an hour)
	$(BIN)/python benchmarks/run.py

docs: $(VENV)/.installed  ## rewrite the tables of docs/reproduction.md from results/
	$(BIN)/python -m mmgan.experiments.framework.documents docs/reproduction.md results

data:
	@if [ -x $(PREPARE) ] && [ "$(MMGAN_DATA)" = "$(CURDIR)/.test-data" ]; then $(PREPARE) $(MMGAN_DATA); fi

clean:  ## remove everything that these commands made, except runs
	rm -rf $(VENV) .test-data .mypy_cache .ruff_cache .pytest_cache dist build
.PHONY: data
