PYTHON ?= $(shell command -v python3.11 || command -v python3)
# A pip index that holds torch's CPU build, where the usual one would hand out the much larger CUDA build.
TORCH_INDEX ?=
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
TORCH := $(shell grep -o 'torch==[0-9.]*' pyproject.toml)

.DEFAULT_GOAL := help
.PHONY: help install demo demo-frontier serve fmt lint type test bench clean

help:  ## Show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(STAMP)  ## Make .venv with everything in it
	@:

# torch comes first and alone, so that what depends on it finds the chosen build already there.
$(STAMP): pyproject.toml
	@test -n "$(PYTHON)" || { echo "Python 3.11 or 3.12 is needed: install it, or name it with make PYTHON=/path/to/python3.11"; exit 1; }
	@echo "Installing into $(VENV), some minutes the first time"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install $(if $(TORCH_INDEX),--extra-index-url $(TORCH_INDEX)) $(TORCH)
	@$(BIN)/python -m pip install --editable ".[dev]"
	@touch $@

demo: install  ## Ingest examples/, ask, edit, sync, toggle
	@$(BIN)/python -m api.demo

demo-frontier: install  ## The same with frontier and hybrid, against a stand-in: no real model is asked
	@$(BIN)/python -m api.demo_frontier

serve: install  ## Serve the API on http://127.0.0.1:8377
	@$(BIN)/understudy serve

fmt: install  ## Put the code into its one form
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

lint: install  ## Check form and imports
	$(BIN)/ruff check .

type: install  ## Check types
	$(BIN)/mypy

test: lint type  ## All that CI runs
	$(BIN)/python -m pytest --numprocesses auto --maxprocesses 4 --dist worksteal

bench: install  ## Measure; `make bench ONLY="embed search"` for some
	$(BIN)/python -m tests.bench $(ONLY)

clean:  ## Remove what was made here, the virtual environment too
	rm -rf $(VENV) .understudy-demo .bench .mypy_cache .pytest_cache .ruff_cache *.egg-info
