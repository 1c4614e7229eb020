# make demo and make test need Python 3.11 or later, make and a package index; nothing else.
PYTHON ?= python3
BIN := .venv/bin
WORKERS ?= 2
export OMP_NUM_THREADS = 1
export PIP_DISABLE_PIP_VERSION_CHECK = 1

.PHONY: demo test check tests docs clean

demo: .venv/installed
	$(BIN)/corticode demo --out demo --workers $(WORKERS)

test: check tests

check: .venv/installed-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

tests: .venv/installed-dev
	$(BIN)/pytest -n $(WORKERS) --durations=10

docs: .venv/installed-dev
	$(BIN)/python docs/write_study_file.py

.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet -c constraints.txt -e .
	touch $@

.venv/installed-dev: .venv/installed
	$(BIN)/python -m pip install --quiet -c constraints.txt -e ".[dev]"
	touch $@

clean:
	rm -rf .venv demo
