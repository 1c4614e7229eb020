# make demo and make test need Python 3.11 or later, make and a package index; nothing else.
#   make test        what to run before each commit: lint, types, import rules, the quick suite
#   make test-slow   whole studies, and properties with 200 examples
#   make test-wheel  the built package, installed without the repository
PYTHON ?= python3
BIN := .venv/bin
WORKERS ?= 2
export OMP_NUM_THREADS = 1
export PIP_DISABLE_PIP_VERSION_CHECK = 1
# Where compiled modules are not kept, each process that a test starts compiles torch again: 8 s.
export PYTHONDONTWRITEBYTECODE =

.PHONY: demo test check tests test-slow test-wheel test-browser browser docs gallery clean

demo: .venv/installed
	$(BIN)/corticode demo --out demo --workers $(WORKERS)

test: check tests

check: .venv/installed-dev
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# A file's tests run in one process, so that what they share is made once; conftest.py orders files.
PYTEST := $(BIN)/pytest -n $(WORKERS) --dist loadfile --no-loadscope-reorder

tests: .venv/installed-dev
	$(PYTEST) --durations=10 -m "not study"

test-slow: .venv/installed-dev
	$(PYTEST) --durations=10 -m "study or hypothesis" --hypothesis-profile thorough

test-wheel: .venv/installed-dev
	.ci/check-wheel

# The page in a real browser. Debian's headless Chromium is installed where that can be done; without
# it the test skips and says so.
test-browser: browser .venv/installed-dev
	CORTICODE_SCREENSHOTS=$(CURDIR)/screenshots $(BIN)/pytest -rs tests/report/test_in_browser.py

browser:
	@command -v chromium-headless-shell >/dev/null || command -v chromium >/dev/null \
	|| { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null \
	&& timeout 300 apt-get -qq update && DEBIAN_FRONTEND=noninteractive \
	timeout 600 apt-get -qq install -y chromium-headless-shell >/dev/null; } \
	|| echo "no headless Chromium here and none could be installed: the browser test skips"

# The site, in site/: warnings are errors, as are links and anchors that lead nowhere. Nothing is asked
# of a network.
docs: .venv/installed-docs
	$(BIN)/python docs/write_study_file.py
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict
	$(BIN)/python docs/try_search.py

# The page of examples and its figures: a minute or two.
gallery: .venv/installed
	$(BIN)/python docs/write_gallery.py

# Python compiles what it imports when it first does: a fraction of what is installed.
.venv/installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --no-compile -c constraints.txt -e .
	touch $@

.venv/installed-dev: .venv/installed
	$(BIN)/python -m pip install --quiet -c constraints.txt -e ".[dev]"
	touch $@

.venv/installed-docs: .venv/installed-dev
	$(BIN)/python -m pip install --quiet -c constraints.txt -e ".[docs]"
	touch $@

clean:
	rm -rf .venv demo site
