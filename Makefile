# make demo and make test need Python 3.11 or later, make and a package index; nothing else.
PYTHON ?= python3
BIN := .venv/bin
WORKERS ?= 2
export OMP_NUM_THREADS = 1
export PIP_DISABLE_PIP_VERSION_CHECK = 1

.PHONY: demo test check tests test-browser browser docs gallery clean

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
