# Two commands do it all on a fresh clone: `make run` and `make test`. Each is thin; README.md has the plain lines.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
ORACLES := $(VENV)/.oracles

# For the inner loop: what takes a minute and tells most.
QUICK := tests/core tests/support tests/cells tests/test_floors.py tests/test_init.py tests/plugin/test_installed.py

.PHONY: run quick test test-all lint types docs serve format clean

run: $(READY)
	$(BIN)/rnnkit run --cell lstm

quick: $(READY)
	$(BIN)/python -m pytest -n auto --dist worksteal $(QUICK)

test: $(READY)
	$(BIN)/python -m pytest -n auto --dist worksteal

test-all: $(ORACLES)
	$(BIN)/python -m pytest -n auto --dist worksteal -m ""

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(READY)
	$(BIN)/mypy

docs: $(READY)
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

serve: $(READY)
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs serve

format: $(READY)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[dev,docs,data]"
	touch $@

# Keras, Flax and Haiku, Optuna and skorch, which only the slow tests use.
$(ORACLES): $(READY)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[oracles,recipes]"
	touch $@

clean:
	rm -rf $(VENV) site build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
