# Two commands do it all on a fresh clone: `make run` and `make test`. Each is thin; README.md has the plain lines.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
ORACLES := $(VENV)/.oracles

# For the inner loop: what takes a minute and tells most.
QUICK := tests/core tests/support tests/cells tests/test_floors.py tests/test_init.py tests/plugin/test_installed.py

# Kernels for GPUs, interpreted on the CPU: in a process of their own, since Triton asks for that when it is imported.
INTERPRETED := tests/compiler/backends/triton/interpreted

# Of the tests that need a GPU, so many at a time: compiling kernels keeps the CPU busy.
GPU_WORKERS ?= 4

.PHONY: run quick test test-all test-gpu lint types docs serve format clean

run: $(READY)
	$(BIN)/rnnkit run --cell lstm

quick: $(READY)
	$(BIN)/python -m pytest -n auto --dist worksteal $(QUICK)

test: $(READY)
	$(BIN)/python -m pytest -n auto --dist worksteal
	TRITON_INTERPRET=1 $(BIN)/python -m pytest -n auto --dist worksteal $(INTERPRETED)

test-all: $(ORACLES)
	$(BIN)/python -m pytest -n auto --dist worksteal -m ""
	TRITON_INTERPRET=1 $(BIN)/python -m pytest -n auto --dist worksteal -m "" $(INTERPRETED) tests/gpu/test_kernels.py

# What needs a GPU; where there is none, each test is skipped and says why. cuBLAS gives the same bits twice by that variable.
test-gpu: $(READY)
	CUBLAS_WORKSPACE_CONFIG=:4096:8 $(BIN)/python -m pytest -n $(GPU_WORKERS) --timeout 900 -rs -m gpu tests/gpu

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
	# Triton compiles for GPUs, and comes without torch's CUDA build here; where there is none, its tests say so and skip.
	-$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps -c constraints.txt triton
	touch $@

# Keras, Flax and Haiku, Optuna and skorch, which only the slow tests use.
$(ORACLES): $(READY)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[oracles,recipes]"
	touch $@

clean:
	rm -rf $(VENV) site build *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
